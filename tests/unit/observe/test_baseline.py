"""From what the live slot did to what is tolerated of the candidate."""

import msgspec
import pytest

from celadon.model.baseline import Baseline, Minute, RouteCount
from celadon.model.observed import Hit
from celadon.observe.baseline import (
    MINUTES_MAX,
    UNITS_ENOUGH,
    MinuteCounter,
    find_rate_bound,
    know_baseline,
    pick_recent,
)
from celadon.observe.latency import find_bucket
from celadon.observe.rule import Rule
from tests.unit.observe.scene import hit


def minute(at: int, units_count: int, bad_units_count: int = 0) -> Minute:
    return Minute(at, {"GET /": RouteCount(units_count, bad_units_count)}, {10: units_count})


def test_a_busy_site_is_known_by_its_last_hour() -> None:
    """And not by what was before it."""
    busy = [minute(at, 1_000) for at in range(600)]
    assert [each.minute for each in pick_recent(busy)] == list(range(540, 600))


def test_a_quiet_site_is_known_by_as_much_as_is_needed_and_seven_days_at_most() -> None:
    """From the last minute with traffic back."""
    quiet = [minute(at, 10) for at in range(20 * 24 * 60)]
    assert sum(10 for _ in pick_recent(quiet)) == UNITS_ENOUGH
    silent = [minute(at, 1) for at in range(0, 20 * 24 * 60, 60)]
    assert len(pick_recent(silent)) == MINUTES_MAX // 60
    assert pick_recent([]) == ()


@pytest.mark.parametrize(
    ("rule", "floor"), [(Rule(), 0.002), (Rule(slo=0.9999), 0.002), (Rule(slo=0.9995), 0.0072), (Rule(slo=0.99), 0.01)]
)
def test_the_floor_follows_the_promise(rule: Rule, floor: float) -> None:
    """0.2 %, or 14.4 times what the SLO allows, at most 1 %."""
    assert rule.floor == pytest.approx(floor)
    assert know_baseline(Baseline(), rule).tolerated_rate == pytest.approx(floor)


def test_twice_the_bound_is_tolerated() -> None:
    """U_b of the live slot's units, never less than the floor."""
    known = know_baseline(Baseline(minutes=(minute(0, 6_000, 60),)), Rule())
    assert known.rate_bound == find_rate_bound(60, 6_000)
    assert known.tolerated_rate == pytest.approx(2 * find_rate_bound(60, 6_000))
    assert (known.rate, known.units_count, known.span_s) == (0.01, 6_000, 60.0)
    perfect = know_baseline(Baseline(minutes=(minute(0, 1_000_000),)), Rule())
    assert perfect.tolerated_rate == 0.002


def test_without_a_baseline_the_floor_holds() -> None:
    """A first deploy."""
    known = know_baseline(Baseline(), Rule())
    assert (known.tolerated_rate, known.rate_bound) == (0.002, None)


@pytest.mark.parametrize(
    ("units_count", "bad_units_count", "tolerated"),
    [(1, 0, 0.05), (30, 0, 0.05), (200, 0, 0.05), (1_000, 0, 2 * find_rate_bound(0, 1_000)), (100, 10, 0.4)],
)
def test_few_visitors_are_no_licence_to_fail(units_count: int, bad_units_count: int, tolerated: float) -> None:
    """What nobody has seen is tolerated up to what could still be blessed; what was seen, as ever."""
    known = know_baseline(Baseline(minutes=(minute(0, units_count, bad_units_count),)), Rule())
    assert known.tolerated_rate == pytest.approx(tolerated)
    assert known.rate_bound == find_rate_bound(bad_units_count, units_count)
    assert known.usual_rate == pytest.approx(tolerated / 2)


def test_traffic_becomes_minutes() -> None:
    """Units a route class and latencies a bucket; our own looks and refusals are in neither."""
    counter = MinuteCounter()
    look = Hit(slot=None, status=500, upstream_status=None, duration_ms=1, client_key="x", route="GET /", look="nonce")
    bad = [hit("a", status=500, route="GET /users/7", ms=50), hit("a", status=500, route="GET /users/8", ms=50)]
    assert counter.take([hit("a"), hit("a"), hit("b"), *bad, look, hit("c", status=404)], at_s=120.0) is None
    ended = counter.take([hit("a")], at_s=180.0)
    assert ended == Minute(
        2, {"GET /": RouteCount(2, 0), "GET /users/{n}": RouteCount(1, 1)}, {find_bucket(80): 2, find_bucket(50): 1}
    )
    assert counter.close() == Minute(3, {"GET /": RouteCount(1, 0)}, {find_bucket(80): 1})
    assert counter.close() is None


def test_a_baseline_is_compact() -> None:
    """An hour with twenty routes and forty buckets of latency is kept in less than 80 KiB."""
    routes = {f"GET /part-{number}/{{n}}": RouteCount(1_000, 1) for number in range(20)}
    latency = dict.fromkeys(range(100, 140), 500)
    kept = msgspec.json.encode(Baseline(minutes=tuple(Minute(at, routes, latency) for at in range(60))))
    assert len(kept) < 80 * 1024
    assert msgspec.json.decode(kept, type=Baseline).minutes[0].routes == routes
