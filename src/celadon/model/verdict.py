"""A judged window: what was counted and what follows from it."""

from enum import StrEnum

from msgspec import Struct


class Judgement(StrEnum):
    """UNDECIDED is neither success nor failure: there was not enough to go by."""

    HEALTHY = "healthy"
    BREACH = "breach"
    UNDECIDED = "undecided"


class Evidence(Struct, frozen=True, kw_only=True):
    """Counts since the switch, or since the candidate got the share that it has, `percent`. `failed_count` are requests
    the proxy answered with 5xx from the candidate."""

    requests_count: int = 0
    failed_count: int = 0
    probes_count: int = 0
    probes_failed_count: int = 0
    restarts_count: int = 0
    percent: int = 100
    elapsed_s: float = 0.0


class Verdict(Struct, frozen=True, kw_only=True):
    """`rule` names the threshold that decided, `reason` its figures."""

    judgement: Judgement
    rule: str
    reason: str
    evidence: Evidence
