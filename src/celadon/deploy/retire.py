"""Ending what runs in a slot that the route has left: count what is open, wait, stop, say what was cut."""

from celadon.deploy.run import Run
from celadon.events import BootDisabled, DrainCounted, SlotStopped
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import SlotStatus

_COUNT_EVERY_S = 0.05
_REPORT_EVERY_S = 1.0


def disable_boot(run: Run, slot: Slot) -> None:
    run.ports.runner.set_boot(slot, enabled=False)
    run.note(BootDisabled(slot=slot))


def retire(run: Run, slot: Slot, *, release: ReleaseNumber | None) -> None:
    """Drain, then stop. Never called for the slot that is routed: that would be the worst thing this program
    could do, so it is checked here, against the proxy, once more."""
    route = run.ports.proxy.observe()
    if route.reaches(slot):
        raise StepError(
            f"the proxy still routes to {slot}: it is not stopped", code="slot_is_routed", next_command="celadon check"
        )
    if run.ports.runner.observe(slot).status is not SlotStatus.RUNNING:
        run.ports.runner.stop(slot, grace_s=0.0)
        return
    began_s = run.ports.clock.now_s()
    run.ports.reached("draining")
    cut_count = drain(run, slot)
    run.ports.reached("before_stop")
    stopped = run.ports.runner.stop(slot, grace_s=run.plan.settings.drain.stop_timeout_s)
    run.ports.reached("after_stop")
    run.note(
        SlotStopped(
            slot=slot,
            release=release,
            cut_count=cut_count,
            killed=stopped.killed,
            duration_s=run.ports.clock.now_s() - began_s,
        )
    )


def drain(run: Run, slot: Slot) -> int:
    """Wait until the kernel counts no connection of `slot` and no proxy worker is on an old route, at most
    `drain.timeout`. Returns the connections still open at the end: those that will be cut."""
    clock, timeout_s = run.ports.clock, run.plan.settings.drain.timeout_s
    began_s = clock.now_s()
    reported_s = -_REPORT_EVERY_S
    lingering = run.ports.proxy.observe().lingering_count
    while True:
        open_count = run.ports.sockets.connections_count(run.address(slot))
        elapsed_s = clock.now_s() - began_s
        if lingering:
            lingering = run.ports.proxy.observe().lingering_count
        over = (open_count == 0 and lingering == 0) or elapsed_s >= timeout_s
        if over or elapsed_s - reported_s >= _REPORT_EVERY_S:
            run.note(
                DrainCounted(
                    slot=slot,
                    connections_count=open_count,
                    lingering_workers_count=lingering,
                    elapsed_s=elapsed_s,
                )
            )
            reported_s = elapsed_s
        if over:
            return open_count
        clock.wait(min(_COUNT_EVERY_S, max(0.0, timeout_s - elapsed_s)))
