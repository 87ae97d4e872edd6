"""Moving the route, and saying what was seen of it."""

from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.events import Event, Repaired, ShareSeen, SwitchFailed, SwitchSeen
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import WHOLE, Effect, RouteView, Switched


def move_route(run: Run, to: Slot, *, release: ReleaseNumber, percent: int = WHOLE) -> Switched:
    """Switch and say so. A driver that raises has an unknown effect: the caller must make it so again."""
    try:
        switched = run.ports.proxy.switch(to, percent=percent, reached=run.ports.reached)
    except (StepError, OSError) as error:
        switched = Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason=str(error))
    run.ports.reached("seen")
    if switched.seen:
        run.moved_at_s = run.ports.clock.now_s() if percent == WHOLE else None
        run.note(_describe_seen(switched, release=release, percent=percent))
    else:
        if not (run.insistent and switched.effect is Effect.AT_REST):
            run.blame(switched.reason, code="switch_not_seen", next_command="celadon check")
        run.note(SwitchFailed(to_slot=to, effect=switched.effect, reason=switched.reason, percent=percent))
    return switched


def result_of_unseen(run: Run, switched: Switched) -> Result:
    """FAILED, which rejects, only where no request can have reached the candidate."""
    return Result.FAILED if switched.effect is Effect.NONE and not run.share_percent else Result.UNSEEN


def repair_route(run: Run, route: RouteView) -> bool:
    """Where the pointer on disk and the running proxy differ, the proxy is right: the pointer follows, so that a
    restart serves what visitors have now. The same ends a share that no operation is giving. True when something was
    mended."""
    if route.slot is None:
        return False
    if route.disagreement:
        what, detail = "pointer_repaired", route.disagreement
    elif route.split is not None:
        what, detail = "share_ended", f"{route.split.slot} had {route.split.percent} % of the traffic"
    else:
        return False
    switched = run.ports.proxy.switch(route.slot, reached=run.ports.reached)
    if switched.effect not in {Effect.MOVED, Effect.AT_REST}:
        raise StepError(switched.reason, code="switch_not_seen", next_command="celadon check")
    run.note(Repaired(what=what, slot=route.slot, detail=detail))
    return True


def _describe_seen(switched: Switched, *, release: ReleaseNumber, percent: int) -> Event:
    moved_ms, seen_ms, settled_ms = switched.moved_ms, switched.seen_ms, switched.settled_ms
    if percent == WHOLE:
        return SwitchSeen(
            to_slot=switched.to, to_release=release, moved_ms=moved_ms, seen_ms=seen_ms, settled_ms=settled_ms
        )
    return ShareSeen(
        to_slot=switched.to,
        to_release=release,
        percent=percent,
        moved_ms=moved_ms,
        seen_ms=seen_ms,
        settled_ms=settled_ms,
    )
