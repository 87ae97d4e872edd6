"""A judged window: what was counted and what follows from it."""

from enum import StrEnum

from msgspec import Struct


class Judgement(StrEnum):
    """UNDECIDED is neither success nor failure: there was not enough to go by. AMBIENT: the candidate is in trouble
    and so is the old slot, so that going back would not help."""

    HEALTHY = "healthy"
    BREACH = "breach"
    UNDECIDED = "undecided"
    AMBIENT = "ambient"


BY_EVIDENCE = frozenset({"errors", "latency", "error_budget"})
"""Rules of a breach that is a matter of likelihood, not of a limit that somebody has set or of a process that ended."""


class StandsOn(StrEnum):
    """What tells of visitors: the proxy's access log; its own counters, which know no clients, routes and latencies; or
    nothing, so that probes and journeys are all there is."""

    LOG = "log"
    COUNTERS = "counters"
    PROBES = "probes"


class FailingRoute(Struct, frozen=True, kw_only=True):
    """`route` is a template (`GET /users/{n}`); `sample` is one of its failed requests as it was asked, `sample_id` the
    name that the proxy gave to it, where it gives one."""

    route: str
    failed_count: int
    sample: str = ""
    sample_id: str = ""


class MemoryEvidence(Struct, frozen=True, kw_only=True):
    """Of the candidate's processes and of the machine, at present. `growth_bytes_per_s` 0: no growth is shown;
    `full_in_s` is when it would have used up `limit_bytes` (enforced; None: there is none) or `available_bytes` (the
    machine's), None where it does not grow. `swapped_in_bytes_per_s` and `stalled_share` (of the time, in which some
    task waited for memory) are of the last minute; `killed_count` are processes of the machine that the kernel killed
    for want of memory since the switch."""

    rss_bytes: int = 0
    limit_bytes: int | None = None
    available_bytes: int | None = None
    growth_bytes_per_s: float = 0.0
    full_in_s: float | None = None
    swapped_in_bytes_per_s: float = 0.0
    stalled_share: float = 0.0
    killed_count: int = 0
    load: float = 0.0


class Evidence(Struct, frozen=True, kw_only=True):
    """Counts since the switch, or since the candidate got the share that it has, `percent`. `failed_count` are requests
    the proxy answered with 5xx from the candidate.

    `units_count` and `bad_units_count` are what was judged: requests deduplicated by client, route and kind of answer,
    without the worst client. `tolerated_rate` (p0) and `baseline_rate` (U_b, None without a baseline) are shares of
    them. The `_evidence` fields are e-values: how many times likelier what was seen is under a fault than without one;
    1 is no evidence at all, the `_asked` fields are what a rollback asks for; `error_evidence` is that of users and
    journeys together, as it is judged. `bad_rate_below` is what the true rate of bad units lies under, with 90 %
    certainty. `client_errors_count` are 4xx, told and never judged. `lone_failures_count`: of one client that got
    nothing but failures. `failing_journeys` are those whose last run on the candidate failed. `stands_on` is what told
    of visitors at the end; by counters a unit is all that came in a second. `warnings` lead nowhere by themselves; the
    verdict's reason has them too."""

    requests_count: int = 0
    failed_count: int = 0
    probes_count: int = 0
    probes_failed_count: int = 0
    restarts_count: int = 0
    percent: int = 100
    elapsed_s: float = 0.0
    window_s: float = 0.0
    units_count: int = 0
    bad_units_count: int = 0
    journeys_count: int = 0
    journeys_failed_count: int = 0
    control_count: int = 0
    control_failed_count: int = 0
    tolerated_rate: float = 0.0
    baseline_rate: float | None = None
    user_evidence: float = 1.0
    journey_evidence: float = 1.0
    latency_evidence: float = 1.0
    error_evidence: float = 1.0
    control_evidence: float = 1.0
    error_evidence_asked: float = 0.0
    latency_evidence_asked: float = 0.0
    control_evidence_asked: float = 0.0
    bad_rate_below: float = 1.0
    client_errors_count: int = 0
    lone_failures_count: int = 0
    failing_routes: tuple[FailingRoute, ...] = ()
    failing_journeys: tuple[str, ...] = ()
    stands_on: StandsOn = StandsOn.LOG
    memory: MemoryEvidence = MemoryEvidence()
    warnings: tuple[str, ...] = ()


class Verdict(Struct, frozen=True, kw_only=True):
    """`rule` names the threshold that decided, `reason` its figures."""

    judgement: Judgement
    rule: str
    reason: str
    evidence: Evidence
