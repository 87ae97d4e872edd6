"""The window by evidence, with a real proxy and visitors from many addresses."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from celadon.store.baseline import read_baseline
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
def visitors(site: Site, *, clients_count: int = _CLIENTS_COUNT, every: int = 1) -> Iterator[Counter[int]]:
    """Each request comes from the next address. Statuses, counted; 0 is no answer. `every` so manieth asks for the page
    that may fail, the others for one that does not."""
    counts: Counter[int] = Counter()
    over = threading.Event()
    clients = itertools.cycle(enumerate(make_clients(clients_count)))

    def come() -> None:
        while not over.wait(0.01):
            number, client = next(clients)
            counts[_ask(site.port, client, path="/" if number % every == 0 else "/orders")] += 1

    threads = [threading.Thread(target=come) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ask(port: int, client: str, *, path: str) -> int:
    try:
        return visit_as(port, client=client, path=path)[0]
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
    assert sorted(site.running_slots()) == ["blue", "green"]
    assert site.celadon("finalize").code == 0


def test_errors_that_the_old_release_had_too_bring_nothing_back(site: Site) -> None:
    """Two requests in a hundred fail before the deploy and after it. What was usual is gathered from the log when the
    deploy begins; ten times the rule's floor would else be a fault."""
    evidence = site.config.read_text().replace("[proxy]", '[proxy]\nlook_path = "/health"')
    by_limits = evidence.replace('judge = "evidence"', "").replace('min_window = "3s"', "")
    site.config.write_text(by_limits.replace('window = "12s"', 'window = "1s"'))
    second = site.deploy("v2", broken="errors")
    assert second.code == 0, second.output
    site.config.write_text(evidence)
    with visitors(site, clients_count=8000, every=16) as counts:
        wait_until(lambda: counts[200] > 700)
        before_count = sum(counts.values())
        site.write_version("v3", broken="errors")
        done = site.celadon("deploy", "--json")
    assert done.code == 0, done.output
    [gathered] = done.events("baseline_gathered")
    assert 0.9 * before_count < gathered["units_count"] < sum(counts.values())
    assert 0.01 < gathered["bad_units_count"] / gathered["units_count"] < 0.03
    assert gathered["is_armed"]
    [verdict] = done.events("verdict_reached")
    assert verdict["judgement"] == "healthy"
    assert verdict["evidence"]["failed_count"] > 3
    assert read_baseline(site.layout) is not None


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
