"""What the rule would have said to each window of a log."""

from msgspec import Struct

from celadon.model.verdict import Judgement


class ReplayedWindow(Struct, frozen=True, kw_only=True):
    """`began_at` in seconds since the epoch. `error_evidence` and `latency_evidence` are the largest that were reached;
    `tolerated_rate` of `bad_units_count` in `units_count` follows from the traffic before the window, None where that
    was none. `goes_back`: the rule would have."""

    began_at: float
    requests_count: int
    failed_count: int
    units_count: int
    bad_units_count: int
    baseline_rate: float | None
    tolerated_rate: float
    error_evidence: float
    latency_evidence: float
    judgement: Judgement
    rule: str
    reason: str
    goes_back: bool


class Replay(Struct, frozen=True, kw_only=True):
    """`format` is how the log was read; `unread_count` are lines that are no request of the site, or tell no time."""

    format: str
    window_s: float
    windows: tuple[ReplayedWindow, ...]
    unread_count: int

    @property
    def went_back_count(self) -> int:
        return sum(window.goes_back for window in self.windows)
