"""The texts in which proxies tell what they count."""

import pytest

from celadon.drivers.traffic.caddy_counters import CaddySeries, make_caddy_counters
from celadon.drivers.traffic.counted import Totals, sum_codes
from celadon.drivers.traffic.prometheus import read_series
from celadon.drivers.traffic.traefik_counters import parse_services
from celadon.model.names import Slot

SERVICES = {"celadon-shop_blue@file": Slot.BLUE, "celadon-shop_green@file": Slot.GREEN}


def traefik(service: str, code: str, count: str) -> str:
    labels = f'code="{code}",method="GET",protocol="http",service="{service}"'
    return f"traefik_service_requests_total{{{labels}}} {count}\n"


def test_a_series_is_its_labels_and_a_whole_number() -> None:
    """Whatever a label's value has in it."""
    text = '# HELP a x\na{b="1",c="x} 9 \\"\\\\ \\n"} 1.5e+03\nab{b="2"} 7\na_total{b="3"} 8\n'
    assert list(read_series(text, "a")) == [({"b": "1", "c": 'x} 9 "\\ \n'}, 1500)]


@pytest.mark.parametrize("line", ['a{b="1"} NaN', 'a{b="1"} +Inf', 'a{b="1"} many', 'a{b="1', "a{b=1} 2", 'a{b="1"}'])
def test_what_is_no_series_is_refused(line: str) -> None:
    """A broken text must not be taken for few visitors."""
    with pytest.raises(ValueError, match=r"no series|convert"):
        list(read_series(line, "a"))


def test_answers_are_told_apart_by_their_code() -> None:
    """What was upgraded, or has no code, has not ended as a request."""
    counted = sum_codes([("200", 5), ("301", 1), ("404", 2), ("499", 1), ("500", 3), ("502", 1), ("101", 9), ("0", 9)])
    assert counted == Totals(requests_count=13, failed_count=4, client_errors_count=3)


def test_traefik_tells_of_the_apps_own_services_only() -> None:
    """An app whose name begins with the other's is another."""
    text = (
        traefik("celadon-shop_green@file", "200", "3")
        + traefik("celadon-shop_green@file", "503", "1")
        + traefik("celadon-shop_preview@file", "500", "70")
        + traefik("celadon-shop-two_green@file", "500", "70")
        + traefik("celadon-shop_green@docker", "500", "70")
    )
    told = parse_services(text, services=SERVICES)
    assert told == {Slot.BLUE: Totals(), Slot.GREEN: Totals(4, 1, 0)}


def test_traefik_that_has_not_counted_the_switchs_looks_counts_nobody() -> None:
    """Where it counts, those are there before any visitor is."""
    assert parse_services(traefik("other@file", "200", "3"), services=SERVICES) == {}
    looked = traefik("celadon-shop_blue@file", "200", "3")
    assert parse_services(looked, services=SERVICES) == {Slot.BLUE: Totals(3), Slot.GREEN: Totals()}


@pytest.mark.parametrize(("errors_coded", "failed_count"), [(True, 1), (False, 4)])
def test_an_error_of_an_early_caddy_has_no_code(errors_coded: bool, failed_count: int) -> None:  # noqa: FBT001
    """Later ones count it by its code too, which must not count twice."""
    told = (
        'caddy_http_request_duration_seconds_count{code="500",handler="subroute",method="GET",server="srv0"} 1\n'
        'caddy_http_request_errors_total{handler="subroute",server="srv0"} 3\n'
        'caddy_http_request_errors_total{handler="subroute",server="srv1"} 70\n'
    )
    texts = ["", told]
    series = [CaddySeries(server="srv0", handler="subroute")]
    counters = make_caddy_counters(lambda: Slot.BLUE, lambda: (series, texts.pop(0)), errors_coded=errors_coded)
    [counted] = counters.read() or []
    assert counted.failed_count == failed_count


def test_what_caddy_counted_across_a_switch_is_nobodys() -> None:
    """It was one slot's at the beginning and the other's at the end."""
    text = 'caddy_http_request_duration_seconds_count{{code="500",handler="subroute",method="GET",server="srv0"}} {}'
    routes = [Slot.BLUE, Slot.BLUE, Slot.BLUE, Slot.GREEN, Slot.GREEN, Slot.GREEN, Slot.GREEN, Slot.GREEN]
    counts = iter(range(10, 20))
    series = [CaddySeries(server="srv0", handler="subroute")]
    counters = make_caddy_counters(
        lambda: routes.pop(0), lambda: (series, text.format(next(counts))), errors_coded=True
    )
    assert counters.read() is None
    assert counters.read() == []
    [counted] = counters.read() or []
    assert (counted.slot, counted.failed_count) == (Slot.GREEN, 1)
