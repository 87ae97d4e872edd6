"""After a death: look at the router, then the processes, then the journal, and make it so.

Nothing here undoes what the dead operation is thought to have done. It decides where the traffic belongs and
runs the ordinary, idempotent step that puts it there:

    blessed                                 finalize again: forward only
    not blessed, an old slot exists         return (the route may have moved) or reject (it cannot have)
    not blessed, first deploy               the candidate is all there is: forward if it is ready, else a person
    nothing open                            the routed slot must run (after a restart too); the other must not, but
                                            for its streams, within their limit

It never stops what the router points at.
"""

from enum import StrEnum

from celadon.deploy.alone import runs_alone
from celadon.deploy.ledger import Account, Ledger
from celadon.deploy.lingering import end_lingering, lingers, may_go_on
from celadon.deploy.loop import drive
from celadon.deploy.retire import disable_boot, retire
from celadon.deploy.retreat import ensure_ready
from celadon.deploy.route import repair_route
from celadon.deploy.run import Run
from celadon.deploy.switch import enable_boot
from celadon.deploy.workers import settle_workers
from celadon.events import InterruptionFound, Repaired, Step
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import RouteView, SlotStatus, SlotView
from celadon.model.plan import Outcome


class Way(StrEnum):
    """What recovery will do about an interrupted operation."""

    FORWARD = "forward"
    RETURN = "return"
    REJECT = "reject"
    PERSON = "person"


def plan_recovery(account: Account, *, route: Slot | None, candidate_runs: bool) -> Way:
    """Pure. `route` is what the proxy serves now; the candidate, if it has but a share."""
    if account.candidate is None:
        return Way.REJECT
    if account.blessed:
        return Way.FORWARD
    if account.live is not None:
        moved = route is account.candidate or account.switch_intended or account.returning
        return Way.RETURN if moved else Way.REJECT
    if route is not account.candidate:
        return Way.REJECT
    return Way.FORWARD if candidate_runs else Way.PERSON


def recover_interrupted(run: Run, account: Account) -> Outcome:
    """`run.plan` is the dead operation's, under the operation that recovers."""
    route, views = _look(run)
    run.note(
        InterruptionFound(
            operation=account.operation,
            step=account.step,
            blessed=account.blessed,
            route=route.slot,
            blue=views[Slot.BLUE].status.value,
            green=views[Slot.GREEN].status.value,
        )
    )
    if account.candidate is None:
        return Outcome.RECOVERED
    runs = views[account.candidate].status is SlotStatus.RUNNING
    reached = account.candidate if route.reaches(account.candidate) else route.slot
    way = plan_recovery(account, route=reached, candidate_runs=runs)
    run.note(Repaired(what=f"recovered_by_{way}", slot=route.slot))
    match way:
        case Way.FORWARD:
            return _go_forward(run)
        case Way.RETURN:
            return _settle(drive(run, start=Step.RETURN))
        case Way.REJECT:
            outcome = _settle(drive(run, start=Step.REJECT))
            return outcome if account.live is None else _keep_live_up(run, outcome)
        case Way.PERSON:
            run.blame(
                "the first release was never blessed and does not run",
                code="first_release_down",
                next_command="celadon deploy",
            )
            return Outcome.NEEDS_PERSON


def settle_idle(run: Run) -> bool:
    """Nothing is open: the routed slot runs and is started at boot, the other one is not left running. True
    when something had to be mended. Waits until a slot it starts is ready."""
    route, views = _look(run)
    if route.slot is None:
        return False
    mended = repair_route(run, route)
    other = route.slot.other
    mended = _settle_lingering(run) or mended
    views[other] = run.ports.runner.observe(other)
    if runs_alone(run) and views[other].has_processes:
        _stop_orphan(run, other, release=views[other].release)
        views[other] = run.ports.runner.observe(other)
        mended = True
    if views[route.slot].status is not SlotStatus.RUNNING:
        run.note(Repaired(what="live_slot_started", slot=route.slot))
        _is_up(run, route.slot, release=run.plan.live_release)
        enable_boot(run, route.slot)
        mended = True
    if views[other].has_processes and not lingers(run, other):
        _stop_orphan(run, other, release=views[other].release)
        mended = True
    if settle_workers(run, route.slot, run.plan.live_release):
        run.note(Repaired(what="workers_settled", slot=route.slot))
        mended = True
    return mended


def _settle_lingering(run: Run) -> bool:
    """True when it had to be ended."""
    if run.lingering is None or may_go_on(run):
        return False
    end_lingering(run)
    return True


def _stop_orphan(run: Run, slot: Slot, *, release: ReleaseNumber | None) -> None:
    run.note(Repaired(what="orphan_stopped", slot=slot))
    disable_boot(run, slot)
    retire(run, slot, release=release)


def is_interrupted(ledger: Ledger) -> bool:
    return ledger.interrupted is not None


def _look(run: Run) -> tuple[RouteView, dict[Slot, SlotView]]:
    return run.ports.proxy.observe(), {slot: run.ports.runner.observe(slot) for slot in Slot}


def _go_forward(run: Run) -> Outcome:
    """The old slot is retired only beside a candidate that is up: the machine may have been restarted."""
    if not _is_up(run, run.plan.candidate, release=run.plan.release):
        return Outcome.NEEDS_PERSON
    return _settle(drive(run, start=Step.FINALIZE))


def _keep_live_up(run: Run, outcome: Outcome) -> Outcome:
    """A machine that restarted in mid-deploy may have neither slot running."""
    live = run.plan.live
    if live is None:
        return outcome
    if not _is_up(run, live, release=run.plan.live_release):
        return Outcome.NEEDS_PERSON
    settle_workers(run, live, run.plan.live_release)
    return outcome


def _is_up(run: Run, slot: Slot, *, release: ReleaseNumber | None) -> bool:
    """Started if need be; False with the run's reason set."""
    if ensure_ready(run, slot, release=release):
        return True
    run.blame(f"the live slot {slot} does not become ready", code="live_not_ready", next_command="celadon logs")
    return False


def _settle(outcome: Outcome) -> Outcome:
    return Outcome.NEEDS_PERSON if outcome is Outcome.NEEDS_PERSON else Outcome.RECOVERED
