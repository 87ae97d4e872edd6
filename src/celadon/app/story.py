"""One operation as its events tell it, taken apart for a report. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from celadon.events import (
    BaselineGathered,
    BuildStepEnded,
    CandidateStarting,
    CandidateUnready,
    Entry,
    HookRan,
    JourneyFailed,
    LingeringBegan,
    OperationStarted,
    ReleaseCommandRan,
    ReleaseMade,
    ShareSeen,
    SlotStopped,
    Step,
    StepStarted,
    SwitchSeen,
    VerdictReached,
    WindowOpened,
    WindowSampled,
)
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import WHOLE, Served
from celadon.model.plan import FORWARD, OperationKind
from celadon.model.report import (
    Ended,
    FailedJourney,
    Judged,
    Lingered,
    Moment,
    Moved,
    Rejection,
    SlotSummary,
    Usual,
    make_moment,
)
from celadon.model.verdict import Evidence

MOMENTS_LIMIT: Final = 120
_DEPLOYS: Final = FORWARD | {OperationKind.ROLLBACK}

_Kind = TypeVar("_Kind")
_Made = TypeVar("_Made")


class Story:
    """`window` are the entries since the last window was opened: that of a share, or of all the traffic."""

    def __init__(self, started: OperationStarted, entries: Sequence[Entry]) -> None:
        self.started = started
        self.entries = entries
        self.operation = entries[0].operation
        opened = [index for index, entry in enumerate(entries) if isinstance(entry.body, WindowOpened)]
        self.window: Sequence[Entry] = entries[opened[-1] :] if opened else ()

    @property
    def release(self) -> ReleaseNumber | None:
        made = self.last(ReleaseMade) or self.last(CandidateStarting)
        return made.release if made is not None else self.started.release

    @property
    def opens_candidate(self) -> bool:
        """Not so a finalize, a recovery, and a rollback that only ends what a deploy has left open or lingering."""
        if self.started.candidate is None or self.started.kind not in _DEPLOYS:
            return False
        first = next((entry.body.step for entry in self.entries if isinstance(entry.body, StepStarted)), None)
        return first is not Step.RETURN

    def last(self, kind: type[_Kind]) -> _Kind | None:
        return next((entry.body for entry in reversed(self.entries) if isinstance(entry.body, kind)), None)

    def list_of(self, kind: type[_Kind], make: Callable[[float, _Kind], _Made]) -> tuple[_Made, ...]:
        return tuple(make(entry.at, entry.body) for entry in self.entries if isinstance(entry.body, kind))


def tell_apart(entries: Iterable[Entry]) -> list[Story]:
    """Oldest first. What was refused before it began is no operation."""
    by_operation: dict[str, list[Entry]] = {}
    for entry in entries:
        by_operation.setdefault(entry.operation, []).append(entry)
    return [
        Story(started[0], each)
        for each in by_operation.values()
        if (started := [entry.body for entry in each if isinstance(entry.body, OperationStarted)])
    ]


def find_usual(story: Story) -> Usual | None:
    found = story.last(BaselineGathered)
    if found is None:
        return None
    return Usual(
        units_count=found.units_count,
        bad_units_count=found.bad_units_count,
        p95_ms=found.p95_ms,
        cut_short=found.cut_short,
        trial=found.trial,
        is_armed=found.is_armed,
        problem=found.problem,
    )


def find_verdict(story: Story) -> Judged | None:
    """Of the last window; one that is open, or was cut short, has none."""
    judged = [_judge(entry.at, entry.body) for entry in story.window if isinstance(entry.body, VerdictReached)]
    return judged[-1] if judged else None


def list_holds(story: Story) -> tuple[Judged, ...]:
    """The verdicts of the windows before."""
    judged = story.list_of(VerdictReached, _judge)
    return judged[: len(judged) - (find_verdict(story) is not None)]


def _judge(at: float, body: VerdictReached) -> Judged:
    percent = body.evidence.percent
    return Judged(at=at, judgement=body.judgement, rule=body.rule, reason=body.reason, percent=percent)


def list_moves(story: Story) -> tuple[Moved, ...]:
    moves = []
    for entry in story.entries:
        match entry.body:
            case SwitchSeen(to_slot=slot, to_release=release, seen_ms=seen_ms):
                moves.append(Moved(at=entry.at, slot=slot, release=release, percent=WHOLE, seen_ms=seen_ms))
            case ShareSeen(to_slot=slot, to_release=release, seen_ms=seen_ms, percent=percent):
                moves.append(Moved(at=entry.at, slot=slot, release=release, percent=percent, seen_ms=seen_ms))
            case _:
                pass
    return tuple(moves)


def list_stops(story: Story) -> tuple[Ended, ...]:
    return story.list_of(SlotStopped, _end)


def list_lingered(story: Story) -> tuple[Lingered, ...]:
    return story.list_of(LingeringBegan, _linger)


def _linger(at: float, body: LingeringBegan) -> Lingered:
    return Lingered(
        at=at, slot=body.slot, release=body.release, streams_count=body.left.streams_count, limit_s=body.limit_s
    )


def _end(at: float, body: SlotStopped) -> Ended:
    return Ended(
        at=at,
        slot=body.slot,
        cut_count=body.cut_count,
        left=body.left,
        signalled_count=body.signalled_count,
        killed=body.killed,
        duration_s=body.duration_s,
    )


def find_evidence(story: Story) -> Evidence | None:
    """The verdict's, or the last that was known."""
    known = [entry.body.evidence for entry in story.window if isinstance(entry.body, VerdictReached | WindowSampled)]
    return known[-1] if known else None


def make_curve(story: Story) -> tuple[Moment, ...]:
    """At most MOMENTS_LIMIT, those of the most evidence among them, and the last."""
    moments = []
    for entry in story.window:
        match entry.body:
            case WindowSampled(elapsed_s=elapsed_s, evidence=evidence, candidate=candidate, old=old):
                moments.append(make_moment(evidence, elapsed_s=elapsed_s, candidate=candidate, old=old))
            case VerdictReached(evidence=evidence, candidate=candidate, old=old):
                moments.append(make_moment(evidence, elapsed_s=evidence.elapsed_s, candidate=candidate, old=old))
            case _:
                pass
    size = -(-len(moments) // MOMENTS_LIMIT) or 1
    parts = [moments[begin : begin + size] for begin in range(0, len(moments), size)]
    return tuple(max(part, key=_weigh) for part in parts[:-1]) + tuple(part[-1] for part in parts[-1:])


def _weigh(moment: Moment) -> float:
    return max(min(moment.error_evidence, moment.control_evidence), moment.latency_evidence)


def sum_up(story: Story) -> tuple[SlotSummary, ...]:
    """The candidate, and the old slot if there was one; nothing where there was no window."""
    evidence, candidate = find_evidence(story), story.started.candidate
    if evidence is None or candidate is None:
        return ()
    told = [entry.body for entry in story.window if isinstance(entry.body, WindowSampled | VerdictReached)]
    new = [body.candidate for body in told if body.candidate is not None]
    old = [body.old for body in told if body.old is not None]
    summaries = [
        _summarise(
            candidate,
            story.release,
            new,
            requests_count=evidence.requests_count,
            failed_count=evidence.failed_count,
        )
    ]
    if story.started.live is not None:
        counts = {
            "requests_count": sum(each.requests_count for each in old),
            "failed_count": sum(each.failed_count for each in old),
        }
        summaries.append(_summarise(story.started.live, story.started.live_release, old, **counts))
    return tuple(summaries)


def _summarise(
    slot: Slot, release: ReleaseNumber | None, served: Sequence[Served], *, requests_count: int, failed_count: int
) -> SlotSummary:
    return SlotSummary(
        slot=slot,
        release=release,
        requests_count=requests_count,
        failed_count=failed_count,
        p50_ms=_find_median([(each.p50_ms, each.requests_count) for each in served]),
        p95_ms=_find_median([(each.p95_ms, each.requests_count) for each in served]),
        p95_highest_ms=max((each.p95_ms for each in served if each.p95_ms is not None), default=None),
        probe_p95_ms=_find_median([(each.probe_p95_ms, 1) for each in served]),
    )


def _find_median(weighted: Iterable[tuple[float | None, int]]) -> float | None:
    """The lower one."""
    known = sorted((value, weight) for value, weight in weighted if value is not None)
    half, passed = sum(weight for _, weight in known) / 2, 0
    for value, weight in known:
        passed += weight
        if passed >= half:
            return value
    return None


def list_failed_journeys(story: Story) -> tuple[FailedJourney, ...]:
    failed = [entry.body for entry in story.window if isinstance(entry.body, JourneyFailed)]
    last = {(body.journey, body.slot): body for body in failed}
    return tuple(
        FailedJourney(journey=body.journey, slot=body.slot, reason=body.reason, head=body.head)
        for body in last.values()
    )


def find_rejection(story: Story) -> Rejection | None:
    """What the candidate failed at before it got traffic."""
    if list_moves(story):
        return None
    for entry in reversed(story.entries):
        match entry.body:
            case CandidateUnready(probe=probe, reason=reason, head=head, hint=hint, log_tail=tail):
                return Rejection(asked=probe, reason=reason, head=head, hint=hint, log_tail=tail)
            case JourneyFailed(journey=journey, reason=reason, head=head):
                return Rejection(asked=f"journey {journey}", reason=reason, head=head)
            case BuildStepEnded(command=command, exit_code=code, output_tail=tail) if code:
                return Rejection(asked=command, reason=f"it exited with {code}", log_tail=tail)
            case ReleaseCommandRan(command=command, reason=reason, output_tail=tail) if reason:
                return Rejection(asked=command, reason=f"the release command {reason}", log_tail=tail)
            case HookRan(hook=hook, command=command, exit_code=code, output_tail=tail) if code and hook != "on_failure":
                return Rejection(asked=f"{hook} {command}", reason=f"it exited with {code}", log_tail=tail)
            case _:
                pass
    return None
