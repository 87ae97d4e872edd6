"""Why a deploy ended as it did, from what the journal has of it. Pure but for `read_why`."""

from collections.abc import Iterable, Sequence
from typing import Final

from celadon.app.story import (
    Story,
    find_evidence,
    find_rejection,
    find_usual,
    find_verdict,
    list_failed_journeys,
    list_holds,
    list_lingered,
    list_moves,
    list_stops,
    make_curve,
    sum_up,
    tell_apart,
)
from celadon.events import (
    CandidateKept,
    Entry,
    InterruptionFound,
    LingeringBegan,
    OperationEnded,
    Repaired,
    RequestTaken,
    StepStarted,
    WindowExtended,
    WindowOpened,
)
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.host.pointer import read_pointer
from celadon.model.errors import UsageError
from celadon.model.names import AppName, OperationId, ReleaseNumber, Slot, parse_release_label, render_release_label
from celadon.model.plan import FORWARD, OperationKind
from celadon.model.report import Asked, Later, Why
from celadon.store.journal import read_entries

_KNOWN_COUNT: Final = 5


def read_why(layout: Layout, asked: str | None) -> Why:
    """Changes nothing. Raises UsageError."""
    holder = AppLock(layout.lock).holder()
    return explain(
        read_entries(layout.journal, app=layout.app, after=0, operation=None),
        asked,
        app=layout.app,
        running=holder.operation if holder is not None else None,
        traffic=read_pointer(layout.pointer),
    )


def explain(
    entries: Iterable[Entry], asked: str | None, *, app: AppName, running: OperationId | None, traffic: Slot | None
) -> Why:
    """`asked` is an operation's id or a release's label; None is the newest deploy, or a rollback that reached a
    verdict if that is newer. Raises UsageError when there is none such."""
    stories = tell_apart(entries)
    index = _choose(stories, asked, app=app)
    story = stories[index]
    ended, step, kept, opened = (
        story.last(OperationEnded),
        story.last(StepStarted),
        story.last(CandidateKept),
        story.last(WindowOpened),
    )
    return Why(
        app=app,
        operation=story.operation,
        kind=story.started.kind,
        lead=story.started.lead,
        started_at=story.entries[0].at,
        candidate=story.started.candidate,
        live=story.started.live,
        release=story.release,
        live_release=story.started.live_release,
        is_running=ended is None and running == story.operation,
        step=step.step.value if step is not None else None,
        outcome=ended.outcome if ended is not None else None,
        reason=ended.reason if ended is not None else "",
        duration_s=ended.duration_s if ended is not None else 0.0,
        next_command=ended.next_command if ended is not None else None,
        verdict=find_verdict(story),
        holds=list_holds(story),
        extended_count=sum(isinstance(entry.body, WindowExtended) for entry in story.window),
        max_error_rate=opened.max_error_rate if opened is not None else None,
        usual=find_usual(story),
        evidence=find_evidence(story),
        curve=make_curve(story),
        slots=sum_up(story),
        journeys=list_failed_journeys(story),
        rejection=find_rejection(story),
        asked=story.list_of(RequestTaken, lambda at, body: Asked(at=at, request=body.request, by=body.by)),
        moves=list_moves(story),
        stops=list_stops(story),
        lingered=list_lingered(story),
        kept_at=kept.path if kept is not None else "",
        later=tuple(_follow_up(stories, index)),
        is_newest=not any(later.opens_candidate for later in stories[index + 1 :]),
        traffic=traffic,
    )


def _choose(stories: Sequence[Story], asked: str | None, *, app: AppName) -> int:
    newest_first = range(len(stories) - 1, -1, -1)
    if asked is None:
        fitting = [index for index in newest_first if _is_worth_asking(stories[index])]
    else:
        fitting = [index for index in newest_first if stories[index].operation == asked]
        fitting = fitting or _find_release(stories, newest_first, _parse_release(asked))
    if fitting:
        return fitting[0]
    known = [
        f"{label} ({stories[index].operation})"
        for index in newest_first
        if stories[index].opens_candidate and (label := _label(stories[index]))
    ]
    if not known:
        raise UsageError(f"no deploy of {app} is recorded", code="nothing_recorded", next_command="celadon deploy")
    raise UsageError(
        f"{app} has no deploy {asked}; its newest are {', '.join(known[:_KNOWN_COUNT])}",
        code="deploy_unknown",
        next_command="celadon history",
    )


def _is_worth_asking(story: Story) -> bool:
    """A rollback without a verdict is somebody's decision; what led to it is the deploy before."""
    if story.started.kind is OperationKind.ROLLBACK:
        return story.opens_candidate and find_verdict(story) is not None
    return story.started.kind in FORWARD


def _find_release(stories: Sequence[Story], order: Sequence[int], release: ReleaseNumber | None) -> list[int]:
    """What gave it traffic or tried to, before what only ended that."""
    found = [index for index in order if release is not None and stories[index].release == release]
    return sorted(found, key=lambda index: not stories[index].opens_candidate)


def _parse_release(asked: str) -> ReleaseNumber | None:
    try:
        return parse_release_label(asked)
    except ValueError:
        return None


def _label(story: Story) -> str:
    return render_release_label(story.release) if story.release is not None else ""


def _follow_up(stories: Sequence[Story], index: int) -> Iterable[Later]:
    """What went on with this deploy, up to the next that is one of its own."""
    if not stories[index].opens_candidate:
        return
    for story in stories[index + 1 :]:
        if story.opens_candidate:
            return
        if _goes_on_with(story, stories[index]):
            yield _tell_later(story)


def _goes_on_with(story: Story, deploy: Story) -> bool:
    if story.started.kind is OperationKind.RECOVER:
        found = story.last(InterruptionFound)
        return found is not None and found.operation == deploy.operation
    if story.started.kind is OperationKind.RETIRE:
        return deploy.last(LingeringBegan) is not None
    return story.started.kind in {OperationKind.FINALIZE, OperationKind.ROLLBACK}


def _tell_later(story: Story) -> Later:
    found, ended = story.last(InterruptionFound), story.last(OperationEnded)
    return Later(
        operation=story.operation,
        kind=story.started.kind,
        lead=story.started.lead,
        at=story.entries[0].at,
        outcome=ended.outcome if ended is not None else None,
        reason=ended.reason if ended is not None else "",
        found_step=found.step.value if found is not None and found.step is not None else None,
        repairs=story.list_of(Repaired, lambda _, body: body.what),
        moves=list_moves(story),
        stops=list_stops(story),
        lingered=list_lingered(story),
    )
