"""From the live slot's traffic before the switch to the rate that is tolerated after it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log
from typing import Final

from msgspec import Struct

from celadon.model.baseline import Baseline, Minute, RouteCount
from celadon.model.observed import Hit
from celadon.observe.latency import find_bucket
from celadon.observe.routes import Routes
from celadon.observe.rule import ALPHA_B, MONTH_S, Rule
from celadon.observe.units import BadClients, Units

MINUTES_MIN: Final = 60
# With 5,000 the bound of a true 1 % is 1.5 %, with 20,000 1.26 %: what is tolerated follows it twice.
UNITS_ENOUGH: Final = 20_000
MINUTES_MAX: Final = 7 * 24 * 60
# Twice this is 5 %, and no release that fails more than that is ever blessed (Rule.healthy_below).
UNSHOWN_MAX: Final = 0.025

_HALVINGS: Final = 60


class Known(Struct, frozen=True, kw_only=True):
    """What a baseline comes to. `rate_bound` is U_b, None where there is no baseline; `shown_bound` as much of it as
    failures have shown, `tolerated_rate` is p0."""

    tolerated_rate: float
    rate_bound: float | None = None
    shown_bound: float | None = None
    units_count: int = 0
    bad_units_count: int = 0
    span_s: float = 0.0
    latency: dict[int, int] = {}

    @property
    def rate(self) -> float:
        return self.bad_units_count / self.units_count if self.units_count else 0.0

    @property
    def usual_rate(self) -> float:
        """At most; half of what is tolerated where there is no baseline."""
        return self.tolerated_rate / 2 if self.shown_bound is None else self.shown_bound

    @property
    def units_a_month(self) -> float:
        return self.units_count / self.span_s * MONTH_S if self.span_s else 0.0


def know_baseline(baseline: Baseline, rule: Rule) -> Known:
    minutes = pick_recent(baseline.minutes)
    counts = [count for minute in minutes for count in minute.routes.values()]
    units_count = sum(count.units_count for count in counts)
    if not units_count:
        return Known(tolerated_rate=rule.floor)
    bad_units_count = sum(count.bad_units_count for count in counts)
    shown_bound = find_shown_bound(bad_units_count, units_count)
    latency: Counter[int] = Counter()
    for minute in minutes:
        latency.update(minute.latency)
    return Known(
        tolerated_rate=min(max(rule.floor, 2 * shown_bound), 0.5),
        rate_bound=find_rate_bound(bad_units_count, units_count),
        shown_bound=shown_bound,
        units_count=units_count,
        bad_units_count=bad_units_count,
        span_s=60.0 * (minutes[-1].minute - minutes[0].minute + 1),
        latency=dict(latency),
    )


def find_shown_bound(k: int, n: int) -> float:
    """U_b, as far as it comes from failures and not from there being few units: thirty good ones leave 20 % possible,
    and a release may not fail a third of its visitors because hardly anybody came before it."""
    return min(find_rate_bound(k, n), max(UNSHOWN_MAX, 2 * k / n))


def pick_recent(minutes: Sequence[Minute]) -> Sequence[Minute]:
    """From the last one back: an hour, or as far as UNITS_ENOUGH lie, at most seven days."""
    if not minutes:
        return ()
    last, units_count = minutes[-1].minute, 0
    for index in range(len(minutes) - 1, -1, -1):
        age = last - minutes[index].minute
        if age >= MINUTES_MAX or (age >= MINUTES_MIN and units_count >= UNITS_ENOUGH):
            return minutes[index + 1 :]
        units_count += sum(count.units_count for count in minutes[index].routes.values())
    return minutes


def find_rate_bound(k: int, n: int, *, alpha: float = ALPHA_B) -> float:
    """The rate that k of n lies below, wrong with probability at most `alpha`: the largest u with n·KL(k/n, u) ≤
    ln(1/alpha) (Chernoff 1952)."""
    if not n:
        return 1.0
    share, limit = k / n, log(1 / alpha) / n
    low, high = share, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if diverge(share, middle) <= limit else (low, middle)
    return high


def diverge(p: float, q: float) -> float:
    """Kullback–Leibler divergence of two coins, in nats."""
    if q >= 1:
        return 0.0 if p >= 1 else float("inf")
    good = (1 - p) * log((1 - p) / (1 - q)) if p < 1 else 0.0
    return good + (p * log(p / q) if p > 0 else 0.0)


class MinuteCounter:
    """Makes minutes of the live slot's traffic. Fed in order of time. `routes` may be shared with other counters."""

    def __init__(self, routes: Routes | None = None) -> None:
        self._units = Units()
        self._routes = routes or Routes()
        self._counts: dict[str, list[int]] = {}
        self._latency: Counter[int] = Counter()
        self._clients = BadClients()
        self._minute: int | None = None

    def take(self, hits: Iterable[Hit], *, at_s: float) -> Minute | None:
        """`at_s`: seconds since the epoch. The minute before, when this one begins."""
        ended = self.close() if self._minute is not None and int(at_s // 60) != self._minute else None
        self._minute = int(at_s // 60)
        for hit in hits:
            self._count(hit, at_s)
        return ended

    def close(self) -> Minute | None:
        """What was counted of a minute that is not over."""
        if self._minute is None:
            return None
        routes = {route: RouteCount(units_count=n, bad_units_count=k) for route, (n, k) in self._counts.items()}
        minute = Minute(minute=self._minute, routes=routes, latency=dict(self._latency))
        self._counts, self._minute, self._clients = {}, None, BadClients()
        self._latency = Counter()
        return minute

    def _count(self, hit: Hit, at_s: float) -> None:
        status_class = hit.status // 100
        if hit.look or status_class == 4:
            return
        route = self._routes.find(hit.route)
        if not self._units.is_first((hit.client_key, route, status_class), at_s):
            return
        if hit.failed and self._clients.admit(hit.client_key, start=0) is None:
            return
        count = self._counts.setdefault(route, [0, 0])
        count[0] += 1
        count[1] += hit.failed
        self._latency[find_bucket(hit.duration_ms)] += 1
