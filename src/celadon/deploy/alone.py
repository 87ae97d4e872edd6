"""An app that cannot run twice: what is in the way ends before the other starts (`switch.strategy = "stop-first"`).

The one place where a slot with traffic is stopped, and it is stopped for another that takes its place at once. At boot
one slot is started, or none, and never two: after a restart of the machine recovery starts what belongs there.
"""

from celadon.deploy.run import Run
from celadon.events import BootDisabled, ServedAgain, SlotStopped, StandingDown
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.settings import Strategy


def runs_alone(run: Run) -> bool:
    """A first deploy is alone anyway."""
    return run.plan.live is not None and run.plan.settings.switch.strategy is Strategy.STOP_FIRST


def stand_down(run: Run, slot: Slot, *, release: ReleaseNumber | None) -> None:
    """Idempotent. Blocks for the grace. The clock of the downtime runs from the signal on, or from when it was found
    that nothing runs there; what is open by then and does not end within the grace is cut."""
    ports = run.ports
    ports.runner.set_boot(slot, enabled=False)
    run.note(BootDisabled(slot=slot))
    if not ports.runner.observe(slot).has_processes:
        _begin_downtime(run)
        ports.runner.stop(slot, grace_s=0.0)
        return
    run.note(StandingDown(slot=slot, release=release))
    ports.reached("standing_down")
    began_s = _begin_downtime(run)
    open_count = sum(map(ports.sockets.connections_count, run.addresses(slot)))
    stopped = ports.runner.stop(slot, grace_s=run.plan.settings.drain.stop_timeout_s)
    ports.reached("stood_down")
    run.note(
        SlotStopped(
            slot=slot,
            release=release,
            cut_count=open_count,
            killed=stopped.killed,
            duration_s=ports.clock.now_s() - began_s,
        )
    )


def _begin_downtime(run: Run) -> float:
    """Now, in seconds of the run's clock."""
    now_s = run.ports.clock.now_s()
    if run.down_since_s is None:
        run.down_since_s = now_s
    return now_s


def tell_served(run: Run, slot: Slot, *, release: ReleaseNumber) -> None:
    """The proxy was seen to get answers of `slot`: what was down is up again."""
    if run.down_since_s is None:
        return
    down_s = run.ports.clock.now_s() - run.down_since_s
    run.down_since_s, run.down_s = None, run.down_s + down_s
    run.note(ServedAgain(slot=slot, release=release, down_s=down_s))
