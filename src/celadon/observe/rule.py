"""The numbers of rule R*, with its letters: what is set for one app, and what is fixed.

Where each comes from, and what was tried instead, is in docs/decisions/0020-the-rule-of-the-window.md.
"""

from typing import Final

from msgspec import Struct

from celadon.model.settings import ObserveSettings

ALPHA_ERR: Final = 0.008
ALPHA_LAT: Final = 0.002
ALPHA_CONTROL: Final = 0.05
ALPHA_THRESHOLD: Final = 0.01
ALPHA_B: Final = 0.001

FLOOR: Final = 0.002
FLOOR_MAX: Final = 0.01
# A burn rate of 14.4 spends 2 % of a month's budget in an hour (Google SRE workbook, chapter 5).
BURN_RATE: Final = 14.4
PROBE_FLOOR: Final = 0.01

# Restarts each so many seconds find a fault that begins late.
RESTART_EVERY_S: Final = 30.0

# A rollback over the month's error budget still asks for some evidence that the candidate did it.
BUDGET_EVIDENCE: Final = 10.0
MONTH_S: Final = 30 * 86_400.0


class Rule(Struct, frozen=True, kw_only=True):
    """`slo` is the share of good answers that was promised (0.999). `journeys`: the candidate is asked journeys, which
    then carry half the weight. `healthy_below` is the rate that a blessed release's is shown to be under; a tighter
    `max_error_rate` replaces it. A threshold of None is not judged."""

    slo: float | None = None
    max_error_rate: float | None = None
    max_p95_ms: float | None = None
    max_p99_ms: float | None = None
    min_requests_count: int = 20
    readiness_failures_count: int = 3
    journeys: bool = False
    healthy_below: float = 0.05
    min_window_s: float | None = None
    budget_share: float = 0.05

    @property
    def floor(self) -> float:
        """The rate of bad units that no baseline is needed to tolerate."""
        promised = BURN_RATE * (1 - self.slo) if self.slo is not None else 0.0
        return min(max(FLOOR, promised), FLOOR_MAX)

    @property
    def healthy_bound(self) -> float:
        return min(self.healthy_below, self.max_error_rate or self.healthy_below)


def make_rule(settings: ObserveSettings, *, journeys: bool = False) -> Rule:
    return Rule(
        slo=settings.slo,
        max_error_rate=settings.max_error_rate,
        max_p95_ms=_ms(settings.max_p95_s),
        max_p99_ms=_ms(settings.max_p99_s),
        min_requests_count=settings.min_requests_count,
        readiness_failures_count=settings.readiness_failures_count,
        journeys=journeys,
        min_window_s=settings.min_window_s,
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
