"""A log becomes a baseline: each request once, and only those of the slot that was live for good."""

import itertools
from collections.abc import Sequence

from celadon.model.baseline import Baseline, RouteCount, Tenure
from celadon.model.names import Slot
from celadon.model.observed import PREVIEWED, Hit
from celadon.observe.baseline import MINUTES_MAX, UNITS_ENOUGH
from celadon.observe.gather import ROUTES_LIMIT, WHOLE_SITE, Gathering, TimedHits
from celadon.observe.latency import find_bucket
from tests.unit.observe.scene import hit

NOW_S = 60.0 * 29_800_000
ALWAYS = (Tenure(slot=Slot.GREEN, since_s=0.0),)
_clients = itertools.count()


def gather(
    *parts: TimedHits, kept: Baseline | None = None, tenures: Sequence[Tenure] = ALWAYS, now_s: float = NOW_S
) -> Baseline:
    gathering = Gathering(kept, tenures=tenures, now_s=now_s)
    for part in parts:
        gathering.take(part)
    return gathering.finish()


def visit(ago_s: float, *, bad: bool = False, slot: Slot = Slot.GREEN, route: str = "GET /") -> tuple[float, Hit]:
    """Of a client of its own."""
    return NOW_S - ago_s, hit(next(_clients), status=500 if bad else 200, slot=slot, route=route)


def visits(*ago_s: float) -> list[tuple[float, Hit]]:
    return [visit(each) for each in ago_s]


def count(baseline: Baseline) -> tuple[int, int]:
    """Units and bad ones of all minutes."""
    counts = [each for minute in baseline.minutes for each in minute.routes.values()]
    return sum(each.units_count for each in counts), sum(each.bad_units_count for each in counts)


def test_visits_become_minutes_of_the_time_they_were_made_in() -> None:
    part = [visit(130), visit(125, bad=True, route="GET /cart/7"), visit(50)]
    found = gather(part)
    assert [minute.minute for minute in found.minutes] == [NOW_S // 60 - 3, NOW_S // 60 - 1]
    assert count(found) == (3, 1)
    assert found.minutes[0].routes["GET /cart/{n}"].bad_units_count == 1
    assert found.minutes[1].latency == {find_bucket(80): 1}
    assert found.until_s == NOW_S - 50


def test_a_request_is_counted_once_however_often_its_line_is_read() -> None:
    """The next deploy finds the same lines there, with new ones behind them."""
    part = visits(300, 200, 100)
    first = gather(part)
    again = gather([*part, *visits(30)], kept=first)
    assert count(first) == (3, 0)
    assert count(again) == (4, 0)
    assert gather(part, kept=again) == again


def test_what_is_newly_read_joins_what_was_kept_of_the_same_minute() -> None:
    first = gather(visits(59, 58))
    [minute] = gather([visit(57, bad=True)], kept=first).minutes
    assert minute.routes["GET /"] == RouteCount(3, 1)
    assert sum(minute.latency.values()) == 3


def test_parts_may_come_newest_first() -> None:
    old, new = visits(5000, 4000), visits(300, 200)
    assert gather(new, old) == gather([*old, *new])


def test_only_the_slot_that_was_live_for_good_counts() -> None:
    """Not what a failing candidate answered in its window, nor what the old slot did meanwhile; afterwards the old slot
    counts again, though the candidate's last line comes late."""
    tenures = (
        Tenure(slot=Slot.GREEN, since_s=0.0, until_s=NOW_S - 1000),
        Tenure(slot=Slot.GREEN, since_s=NOW_S - 500),
    )
    candidate = [visit(ago_s, bad=True, slot=Slot.BLUE) for ago_s in (1001, 900, 700, 499)]
    found = gather([visit(1500), *candidate[:3], visit(600, bad=True), candidate[3], visit(100)], tenures=tenures)
    assert count(found) == (2, 0)
    assert count(gather([visit(100)], tenures=())) == (0, 0)


def test_what_did_not_count_at_one_deploy_does_not_at_the_next() -> None:
    """The window's lines are passed for good, also where a window ended that nobody had told of yet."""
    part = [visit(900), visit(500, bad=True, slot=Slot.BLUE)]
    kept = gather(part, tenures=(Tenure(slot=Slot.GREEN, since_s=0.0, until_s=NOW_S - 800),))
    later = (Tenure(slot=Slot.BLUE, since_s=0.0),)
    assert count(gather(part, kept=kept, tenures=later)) == (1, 0)


def test_looks_and_previews_are_no_visitors() -> None:
    looks = [
        (
            NOW_S - 9.0,
            Hit(
                slot=Slot.GREEN,
                status=500,
                upstream_status=500,
                duration_ms=1,
                client_key="x",
                route="GET /",
                look=look,
            ),
        )
        for look in ("nonce", PREVIEWED)
    ]
    assert count(gather(looks)) == (0, 0)


def test_a_line_that_stands_behind_a_later_one_is_counted_with_it() -> None:
    """HAProxy and Traefik log when a request began, once it has ended."""
    found = gather([visit(70), visit(59), visit(3000), visit(58)])
    assert [(minute.minute, minute.routes["GET /"].units_count) for minute in found.minutes] == [
        (NOW_S // 60 - 2, 1),
        (NOW_S // 60 - 1, 3),
    ]


def test_a_time_that_is_still_to_come_is_not_believed() -> None:
    """A clock was set back: else nothing would be new until then."""
    found = gather([visit(-3600), visit(10)])
    assert (count(found), found.until_s) == ((1, 0), NOW_S - 10)


def test_seven_days_are_kept() -> None:
    edge_s = MINUTES_MAX * 60.0
    found = gather(visits(edge_s + 120, edge_s - 120, 100))
    assert count(found) == (2, 0)
    later = gather(visits(-3600), kept=found, now_s=NOW_S + 7200)
    assert count(later) == (2, 0)
    assert later.minutes[0].minute == (NOW_S - 100) // 60


def test_minutes_that_nobody_goes_by_any_more_are_two_numbers() -> None:
    """The last hour of a busy site says what is usual; the A/A check asks the rest for its sums only."""
    busy = [visit(3 * 3600 - 60 * minute, bad=each < 5) for minute in range(179) for each in range(400)]
    found = gather(busy)
    [*_, last] = found.minutes
    assert count(found) == (179 * 400, 179 * 5)
    assert found.minutes[0].routes == {WHOLE_SITE: last.routes["GET /"]}
    assert found.minutes[0].latency == {}
    assert sum(sum(minute.latency.values()) for minute in found.minutes) >= UNITS_ENOUGH
    assert found == gather([], kept=found)


def test_route_classes_are_bounded_over_all_deploys() -> None:
    """A scanner's thousand paths, and another thousand at the next deploy."""
    first = gather(visit(500, route=f"GET /a{number}-x") for number in range(1000))
    found = gather((visit(100, route=f"GET /b{number}-x") for number in range(1000)), kept=first)
    routes = {route for minute in found.minutes for route in minute.routes}
    assert len(routes) == ROUTES_LIMIT + 1
    assert found.minutes[-1].routes.keys() == {"GET {other}"}
    assert count(found) == (2000, 0)
