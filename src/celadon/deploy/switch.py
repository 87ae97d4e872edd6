"""Step 3, the pivot: the route moves, and is seen to have moved."""

from celadon.deploy.hooks import run_hook
from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.deploy.verify import ask_slot
from celadon.events import BootEnabled, SwitchFailed, SwitchIntended, SwitchSeen
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import Effect, Switched
from celadon.model.plan import Request


def switch(run: Run) -> Result:
    """The candidate is enabled at boot before the route moves: a machine that dies in between comes back
    with whichever slot the pointer names. (A model check refuted both other orders.)"""
    plan = run.plan
    enable_boot(run, plan.candidate)
    if run.asked(Request.ABORT):
        return Result.ABORTED
    answer, _ = ask_slot(run, plan.candidate)
    if not answer.ok:
        run.blame(
            f"ready, but no longer in the instant before the switch: {answer.reason}",
            code="not_ready",
            next_command=f"celadon logs --slot {plan.candidate}",
        )
        return Result.FAILED
    run.switch_is_intended = True
    run.note(SwitchIntended(from_slot=plan.live, to_slot=plan.candidate, to_release=run.planned_number()))
    run.ports.reached("switch_recorded")
    switched = move_route(run, plan.candidate, release=run.planned_number())
    if not switched.seen:
        return Result.FAILED if switched.effect is Effect.NONE else Result.UNSEEN
    run_hook(run, "post_switch")
    return Result.OK


def enable_boot(run: Run, slot: Slot) -> None:
    run.ports.reached("before_enable")
    run.ports.runner.set_boot(slot, enabled=True)
    run.ports.reached("after_enable")
    run.note(BootEnabled(slot=slot))


def move_route(run: Run, to: Slot, *, release: ReleaseNumber) -> Switched:
    """Switch and say so. A driver that raises has an unknown effect: the caller must make it so again."""
    try:
        switched = run.ports.proxy.switch(to, reached=run.ports.reached)
    except (StepError, OSError) as error:
        switched = Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason=str(error))
    run.ports.reached("seen")
    if switched.seen:
        run.note(
            SwitchSeen(
                to_slot=to,
                to_release=release,
                moved_ms=switched.moved_ms,
                seen_ms=switched.seen_ms,
                settled_ms=switched.settled_ms,
            )
        )
    else:
        if not (run.insistent and switched.effect is Effect.AT_REST):
            run.blame(switched.reason, code="switch_not_seen", next_command="celadon check")
        run.note(SwitchFailed(to_slot=to, effect=switched.effect, reason=switched.reason))
    return switched
