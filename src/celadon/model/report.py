"""What the reading verbs report, ready for `--json` and for the tables."""

from msgspec import Struct

from celadon.model.names import AppName, Slot
from celadon.model.observed import RouteView, Served, SlotView
from celadon.model.release import Source
from celadon.model.verdict import Evidence


class SlotReport(Struct, frozen=True, kw_only=True):
    view: SlotView
    address: str
    connections_count: int


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


class PreviewAccess(Struct, frozen=True, kw_only=True):
    """`slot` is what is reached at this moment; None before the first switch."""

    site: str
    slot: Slot | None
    header: str
    cookie: str


class Preview(Struct, frozen=True, kw_only=True):
    """`rollback_to` is the release that a return would go to; None: there is none yet. `changed_files` are proxy
    files whose text a deploy would change."""

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


class Moment(Struct, frozen=True, kw_only=True):
    """One point of a window's curve. Counts and evidence are since the switch, `candidate` and `old` since the moment
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
