"""Step 3, the pivot: the route moves, and is seen to have moved."""

from celadon.deploy.alone import tell_served
from celadon.deploy.hooks import run_hook
from celadon.deploy.route import move_route, result_of_unseen
from celadon.deploy.run import Run
from celadon.deploy.share import give_shares
from celadon.deploy.states import Result
from celadon.deploy.verify import ask_slot
from celadon.events import BootEnabled, SwitchIntended
from celadon.model.names import Slot
from celadon.model.plan import FORWARD, Request


def switch(run: Run) -> Result:
    """The candidate is enabled at boot before the route moves: a machine that dies in between comes back
    with whichever slot the pointer names. (A model check refuted both other orders.)"""
    plan = run.plan
    enable_boot(run, plan.candidate)
    if run.asked(Request.ABORT):
        return Result.ABORTED
    answer, view = ask_slot(run, plan.candidate)
    run.restarts_count = view.restarts_count
    if not answer.ok:
        run.blame(
            f"ready, but no longer in the instant before the switch: {answer.reason}",
            code="not_ready",
            next_command=f"celadon logs --slot {plan.candidate}",
        )
        return Result.FAILED
    if plan.kind in FORWARD and not _is_untouched(run):
        return Result.FAILED
    run.switch_is_intended = True
    run.note(SwitchIntended(from_slot=plan.live, to_slot=plan.candidate, to_release=run.planned_number()))
    run.ports.reached("switch_recorded")
    result = give_shares(run)
    if result is not Result.OK:
        return result
    switched = move_route(run, plan.candidate, release=run.planned_number())
    if not switched.seen:
        return result_of_unseen(run, switched)
    tell_served(run, plan.candidate, release=run.planned_number())
    run_hook(run, "post_switch")
    return Result.OK


def enable_boot(run: Run, slot: Slot) -> None:
    run.ports.reached("before_enable")
    run.ports.runner.set_boot(slot, enabled=True)
    run.ports.reached("after_enable")
    run.note(BootEnabled(slot=slot))


def _is_untouched(run: Run) -> bool:
    """The checks have looked, but building and verifying take their time. Whoever goes back does not ask: they must
    not wait for the owner of an edit."""
    edited = run.ports.find_edited()
    if edited:
        run.blame(
            f"{', '.join(map(str, edited))} was edited by hand since this deploy began",
            code="proxy_hand_edited",
            next_command="celadon proxy diff  # then: celadon proxy accept, or: celadon proxy restore",
        )
    return not edited
