"""The window by evidence, with a real proxy and visitors from many addresses."""

import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.single_visit import make_clients, visit_as
from tests.e2e.site import Site, open_site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

_CLIENTS_COUNT = 400
_THREADS = 4


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """v1 is live; from now on evidence judges."""
    with open_site(tmp_path) as site:
        observe = 'window = "12s"\nmin_window = "3s"\njudge = "evidence"'
        site.config.write_text(site.config.read_text().replace('window = "400ms"', observe))
        yield site


@contextmanager
def visitors(site: Site) -> Iterator[Counter[int]]:
    """Each request comes from the next address. Statuses, counted; 0 is no answer."""
    counts: Counter[int] = Counter()
    over = threading.Event()
    clients = itertools.cycle(make_clients(_CLIENTS_COUNT))

    def come() -> None:
        while not over.wait(0.01):
            counts[_ask(site.port, next(clients))] += 1

    threads = [threading.Thread(target=come) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ask(port: int, client: str) -> int:
    try:
        return visit_as(port, client=client)[0]
    except (OSError, IndexError):
        return 0


def test_a_release_that_fails_one_page_in_three_is_taken_back_in_seconds(site: Site) -> None:
    with visitors(site) as counts:
        done = site.deploy("v2", broken="errors")
    assert done.code == 11, done.output
    assert site.visit() == (200, "v1")
    assert counts[0] == 0
    assert 0 < counts[500] < 60, counts


def test_a_good_release_is_blessed_before_the_end_once_its_users_have_shown_it(site: Site) -> None:
    with visitors(site) as counts:
        done = site.deploy("v2")
    assert done.code == 0, done.output
    assert "old slot: 0 of" in done.output
    assert set(counts) == {200}


def test_a_site_that_nobody_visits_is_left_to_a_person(site: Site) -> None:
    """No data is no success."""
    site.config.write_text(site.config.read_text().replace('window = "12s"', 'window = "1s"'))
    done = site.deploy("v2")
    assert done.code == 20, done.output
    assert "[[journeys]] in celadon.toml stand in for visitors" in done.output
    assert sorted(site.running_slots()) == ["blue", "green"]
    assert site.celadon("finalize").code == 0


ORDERS = """
[[journeys]]
name = "order"
every = "{every}"
[[journeys.steps]]
method = "POST"
path = "/orders"
body = "{{run}}"
expect = {{ status = [201] }}
[[journeys.steps]]
path = "/orders"
expect = {{ body_contains = ["{{run}}"] }}
"""


def test_a_dead_release_of_an_idle_site_is_found_by_its_journey_within_five_seconds(site: Site) -> None:
    """Readiness says yes to the end. The proxy's log has the journey's requests, and none counts as a visitor's."""
    config = site.config.read_text()
    site.config.write_text(config.replace('window = "12s"', 'window = "0s"') + ORDERS.format(every="1s"))
    assert site.deploy("v2").code == 20
    assert site.celadon("finalize").code == 0
    site.config.write_text(config + ORDERS.format(every="1s"))
    site.write_version("v3", broken="books")
    done = site.celadon("deploy", "--json")
    assert done.code == 11, done.output
    entries = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
    at = {entry["body"]["event"]: entry["at"] for entry in entries}
    assert at["switch_seen"] - at["window_opened"] <= 5.0
    [verdict] = done.events("verdict_reached")
    assert (verdict["evidence"]["requests_count"], verdict["evidence"]["control_failed_count"]) == (0, 0)
    assert verdict["evidence"]["journeys_failed_count"] == verdict["evidence"]["journeys_count"] >= 3
    failed = done.events("journey_failed")[0]
    assert (failed["status"], failed["through_proxy"]) == (500, True)
    [postflight] = done.events("postflight_ran")
    assert (postflight["slot"], postflight["journeys_count"], postflight["failed"]) == ("green", 1, [])
    assert (site.visit(), site.running_slots()) == ((200, "v2"), ["green"])


def test_a_good_release_of_an_idle_site_is_blessed_on_fifty_nine_clean_journeys(site: Site) -> None:
    """A first one, whose old release has none of its own, too."""
    site.config.write_text(site.config.read_text() + ORDERS.format(every="100ms"))
    site.write_version("v2")
    done = site.celadon("deploy", "--json")
    assert done.code == 0, done.output
    [verdict] = done.events("verdict_reached")
    assert verdict["evidence"]["units_count"] == 0
    assert verdict["evidence"]["journeys_count"] >= 59
