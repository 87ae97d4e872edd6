"""The candidate gets a share of the traffic, is watched with it, gets the next. Traffic: both slots.

A part of the switch: from the first share on every failure leads back. The way back takes no steps, and a rollback none
either: what is known to be good gets all at once.
"""

from celadon.deploy.observe import watch
from celadon.deploy.route import move_route, result_of_unseen
from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.model.observed import WHOLE
from celadon.model.plan import OperationKind


def give_shares(run: Run) -> Result:
    """OK when each share was held without a breach; where there is no old slot to share with, at once. A hold that ends
    undecided goes on: it blesses nothing."""
    plan = run.plan
    if plan.live is None or plan.kind is not OperationKind.DEPLOY:
        return Result.OK
    for percent in plan.settings.switch.steps:
        if percent == WHOLE or run.finalize_is_asked:
            return Result.OK
        switched = move_route(run, plan.candidate, release=run.planned_number(), percent=percent)
        if not switched.seen:
            return result_of_unseen(run, switched)
        run.share_percent = percent
        run.ports.reached("share_seen")
        watched = watch(run, window_s=plan.settings.switch.hold_s, percent=percent)
        if watched is Result.ABORTED:
            return Result.RECALLED
        if watched is not Result.OK and watched is not Result.UNDECIDED:
            return watched
    return Result.OK
