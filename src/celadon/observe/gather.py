"""From the requests of an access log to the baseline of an app. Pure: whoever reads the log says when each was made.

The log is read newest part first, since a huge one may not be read whole; within a part the requests are in the log's
order. Nothing is counted twice: a later gathering begins after the last request that this one looked at.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from celadon.model.baseline import Baseline, Minute, RouteCount, Tenure
from celadon.model.observed import Hit
from celadon.observe.baseline import MINUTES_MAX, MinuteCounter, pick_recent
from celadon.observe.routes import Routes

ROUTES_LIMIT: Final = 50
WHOLE_SITE: Final = "{all}"
"""The one route class of a minute that only its sums are still needed of."""

_MINUTE_S: Final = 60
_FIRST_S: Final = -1.0

TimedHits = Iterable[tuple[float, Hit]]


class Gathering:
    """What was kept, and what is new. Of the last seven days; beyond the recent minutes that know_baseline goes by, a
    minute is two numbers, so that memory does not grow with the log."""

    def __init__(self, kept: Baseline | None, *, tenures: Sequence[Tenure], now_s: float) -> None:
        self.since_s = max(kept.until_s if kept is not None else 0.0, now_s - MINUTES_MAX * _MINUTE_S)
        """What was logged until then is known, or too old."""
        self._now_s = now_s
        self._until_s = kept.until_s if kept is not None else 0.0
        self._tenures = tenures
        self._minutes = {minute.minute: minute for minute in kept.minutes} if kept is not None else {}
        known = {route for minute in self._minutes.values() for route in minute.routes if route != WHOLE_SITE}
        self._routes = Routes(known, limit=ROUTES_LIMIT)

    def take(self, part: TimedHits) -> None:
        """Units are told apart within a part: parts of many minutes lose nothing by it that matters."""
        counter = MinuteCounter(self._routes)
        latest_s = _FIRST_S
        for at_s, hit in part:
            if not self.since_s < at_s <= self._now_s:
                continue
            self._until_s = max(self._until_s, at_s)
            if not self._is_live(hit, at_s):
                continue
            # Some proxies log when a request began: such a line may stand behind a later one.
            latest_s = max(latest_s, at_s)
            self._add(counter.take((hit,), at_s=latest_s))
        self._add(counter.close())
        self._compact()

    def finish(self) -> Baseline:
        return Baseline(minutes=self._list_minutes(), until_s=self._until_s)

    def _is_live(self, hit: Hit, at_s: float) -> bool:
        """The tenure that holds is nearly always the last one."""
        for tenure in reversed(self._tenures):
            if at_s >= tenure.since_s:
                return hit.slot is tenure.slot and at_s < tenure.until_s
        return False

    def _add(self, minute: Minute | None) -> None:
        if minute is not None and minute.routes:
            kept = self._minutes.get(minute.minute)
            self._minutes[minute.minute] = minute if kept is None else _merge(kept, minute)

    def _compact(self) -> None:
        minutes = self._list_minutes()
        recent = pick_recent(minutes)
        old = minutes[: len(minutes) - len(recent)]
        self._minutes = {minute.minute: minute for minute in (*map(_sum_up, old), *recent)}

    def _list_minutes(self) -> tuple[Minute, ...]:
        oldest = self._now_s // _MINUTE_S - MINUTES_MAX
        return tuple(self._minutes[each] for each in sorted(self._minutes) if each > oldest)


def _merge(one: Minute, other: Minute) -> Minute:
    routes = dict(one.routes)
    for route, count in other.routes.items():
        routes[route] = _sum((routes.get(route, RouteCount()), count))
    return Minute(one.minute, routes, dict(Counter(one.latency) + Counter(other.latency)))


def _sum_up(minute: Minute) -> Minute:
    if minute.routes.keys() == {WHOLE_SITE}:
        return minute
    return Minute(minute.minute, {WHOLE_SITE: _sum(minute.routes.values())}, {})


def _sum(counts: Iterable[RouteCount]) -> RouteCount:
    units_count = bad_units_count = 0
    for count in counts:
        units_count += count.units_count
        bad_units_count += count.bad_units_count
    return RouteCount(units_count, bad_units_count)
