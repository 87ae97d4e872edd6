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
    told = json.loads(site.celadon("why", "--json").output)
    [failing] = told["evidence"]["failing_routes"]
    assert (told["release"], told["verdict"]["judgement"], failing["route"]) == (2, "breach", "GET /")
    assert 0 < failing["failed_count"] == told["evidence"]["failed_count"] <= counts[500]
    assert f"{failing['failed_count']} failed: GET /" in done.output
    assert "Next:    celadon why" in done.output


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
    assert sorted(site.running_slots()) == ["blue", "green"]
    assert site.celadon("finalize").code == 0
