"""What the reading verbs report, ready for `--json` and for the tables."""

from msgspec import Struct

from celadon.model.connections import KindCounts
from celadon.model.names import AppName, ReleaseNumber, Slot
from celadon.model.observed import RouteView, Served, SlotView
from celadon.model.plan import OperationKind, Outcome, Request
from celadon.model.release import Source
from celadon.model.verdict import Evidence, Judgement


class SlotReport(Struct, frozen=True, kw_only=True):
    """`processes` are the app's others that run there or have ended by themselves, by name, and beside what is live
    those that should run."""

    view: SlotView
    address: str
    connections_count: int
    processes: dict[str, SlotView] = {}


class LingeringReport(Struct, frozen=True, kw_only=True):
    """A slot that lives on for its streams. `left_s` is until its limit, which is at `until_at`; `is_kept`: somebody
    watches it, and ends it when it is time."""

    slot: Slot
    release: ReleaseNumber | None
    streams_count: int
    left_s: float
    until_at: float
    is_kept: bool = True


class Status(Struct, frozen=True, kw_only=True):
    """`open_deploy` is a release that is live but not blessed, or whose deploy died; the slots are observed."""

    app: AppName
    deployed: bool
    route: RouteView
    slots: tuple[SlotReport, ...] = ()
    running_operation: str | None = None
    running_purpose: str | None = None
    running_since: float | None = None
    running_step: str | None = None
    open_release: int | None = None
    interrupted: bool = False
    site: str | None = None
    lingering: LingeringReport | None = None


class KeptRelease(Struct, frozen=True, kw_only=True):
    """`problem` is why it could not be rolled back to; empty when it could."""

    number: int
    source: Source | None = None
    built_at: float = 0.0
    built_by: str = ""
    blessed: bool = False
    live: bool = False
    problem: str = ""


class OperationRecord(Struct, frozen=True, kw_only=True):
    """`outcome` None: it runs, or it died. `switch_ms` is the last switch's first new answer."""

    operation: str
    kind: str
    lead: str
    started_at: float
    release: int | None
    live_release: int | None
    outcome: str | None = None
    reason: str = ""
    duration_s: float = 0.0
    switch_ms: float | None = None
    source: Source | None = None
    down_s: float = 0.0


class PreviewAccess(Struct, frozen=True, kw_only=True):
    """`slot` is what is reached at this moment; None before the first switch."""

    site: str
    slot: Slot | None
    header: str
    cookie: str


class Preview(Struct, frozen=True, kw_only=True):
    """`rollback_to` is the release that a return would go to; None: there is none yet. `changed_files` are proxy
    files whose text a deploy would change. `stops_first`: the live release is stopped before the candidate starts.
    `lingering`: whose streams it would cut."""

    app: str
    release: int
    source: Source
    candidate: Slot
    live: Slot | None
    live_release: int | None
    steps: tuple[str, ...]
    rollback_to: int | None
    changed_files: tuple[str, ...]
    refusals: tuple[str, ...]
    stops_first: bool = False
    lingering: LingeringReport | None = None


class Moment(Struct, frozen=True, kw_only=True):
    """One point of a window's curve. Counts and evidence are since the switch, `candidate` and `old` since the sample
    before; they are None in journals of older versions."""

    elapsed_s: float
    requests_count: int
    failed_count: int
    error_evidence: float
    latency_evidence: float
    control_evidence: float
    candidate: Served | None = None
    old: Served | None = None


def make_moment(
    evidence: Evidence, *, elapsed_s: float, candidate: Served | None = None, old: Served | None = None
) -> Moment:
    return Moment(
        elapsed_s=elapsed_s,
        requests_count=evidence.requests_count,
        failed_count=evidence.failed_count,
        error_evidence=evidence.error_evidence,
        latency_evidence=evidence.latency_evidence,
        control_evidence=evidence.control_evidence,
        candidate=candidate,
        old=old,
    )


class Judged(Struct, frozen=True, kw_only=True):
    """One verdict. `percent` below 100: of the hold of a share."""

    at: float
    judgement: Judgement
    rule: str
    reason: str
    percent: int = 100


class SlotSummary(Struct, frozen=True, kw_only=True):
    """What visitors got of a slot since the window was opened. `p50_ms` and `p95_ms` are the medians of those of the
    samples, weighted by their requests, `p95_highest_ms` is the highest of any sample. None: nothing is known."""

    slot: Slot
    release: ReleaseNumber | None
    requests_count: int
    failed_count: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    p95_highest_ms: float | None = None
    probe_p95_ms: float | None = None


class Rejection(Struct, frozen=True, kw_only=True):
    """Why a candidate got no traffic. `asked` is what it failed at: a probe, a journey, a command of the build or a
    hook; `head` the beginning of its answer, `log_tail` the last lines of the app or of the command."""

    asked: str
    reason: str
    head: str = ""
    hint: str = ""
    log_tail: tuple[str, ...] = ()


class FailedJourney(Struct, frozen=True, kw_only=True):
    """The last failure of a journey on a slot while the window was open."""

    journey: str
    slot: Slot
    reason: str
    head: str = ""


class Moved(Struct, frozen=True, kw_only=True):
    """The route went to `slot`; `seen_ms` from the decision to the first answer."""

    at: float
    slot: Slot
    release: ReleaseNumber
    percent: int
    seen_ms: float


class Ended(Struct, frozen=True, kw_only=True):
    """A slot was drained and stopped. `left`, `signalled_count` and `killed` are those of the event."""

    at: float
    slot: Slot
    cut_count: int
    left: KindCounts | None = None
    signalled_count: int = 0
    killed: bool = False
    duration_s: float


class Lingered(Struct, frozen=True, kw_only=True):
    """A slot was left to its streams, for `limit_s` at most."""

    at: float
    slot: Slot
    release: ReleaseNumber | None
    streams_count: int
    limit_s: float


class Asked(Struct, frozen=True, kw_only=True):
    """A person's request that reached the operation."""

    at: float
    request: Request
    by: str


class Later(Struct, frozen=True, kw_only=True):
    """An operation that went on with this deploy: a person's finalize or rollback, or a recovery, whose `repairs` are
    its stable words and which found the deploy dead in `found_step`."""

    operation: str
    kind: OperationKind
    lead: str
    at: float
    outcome: Outcome | None
    reason: str = ""
    found_step: str | None = None
    repairs: tuple[str, ...] = ()
    moves: tuple[Moved, ...] = ()
    stops: tuple[Ended, ...] = ()
    lingered: tuple[Lingered, ...] = ()


class Usual(Struct, frozen=True, kw_only=True):
    """How the old release did before the switch. `trial` is what the rule would have done to it in earlier windows;
    `is_armed` False: too often, so that evidence alone led nowhere. `problem` is why its log was not read or kept."""

    units_count: int
    bad_units_count: int
    p95_ms: float | None = None
    cut_short: bool = False
    trial: str = ""
    is_armed: bool = True
    problem: str = ""


class Why(Struct, frozen=True, kw_only=True):
    """What became of a deploy, and on what grounds. `outcome` None: it runs (`is_running`), or it died. `verdict` None:
    nothing was judged, `evidence` is then the last that was known, if there was a window. `traffic` is where the
    pointer leads now. `is_newest`: no other deploy began since."""

    app: AppName
    operation: str
    kind: OperationKind
    lead: str
    started_at: float
    candidate: Slot | None
    live: Slot | None
    release: ReleaseNumber | None
    live_release: ReleaseNumber | None
    is_running: bool
    step: str | None = None
    outcome: Outcome | None = None
    reason: str = ""
    duration_s: float = 0.0
    next_command: str | None = None
    verdict: Judged | None = None
    holds: tuple[Judged, ...] = ()
    extended_count: int = 0
    max_error_rate: float | None = None
    usual: Usual | None = None
    evidence: Evidence | None = None
    curve: tuple[Moment, ...] = ()
    slots: tuple[SlotSummary, ...] = ()
    journeys: tuple[FailedJourney, ...] = ()
    rejection: Rejection | None = None
    asked: tuple[Asked, ...] = ()
    moves: tuple[Moved, ...] = ()
    stops: tuple[Ended, ...] = ()
    lingered: tuple[Lingered, ...] = ()
    kept_at: str = ""
    later: tuple[Later, ...] = ()
    is_newest: bool = True
    traffic: Slot | None = None
