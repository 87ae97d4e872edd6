"""The right verdict on each release, whatever its trouble, with real proxies and visitors; and what it costs them."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.single_visit import visit_as
from tests.e2e.crowd import visitors
from tests.e2e.site import Done, Site, open_site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

_PATHS = ("/", "/search", "/orders")
_BOT = "127.99.0.1"
_USUAL_COUNT = 1_500
"""Of good answers before: a baseline of a handful would tolerate a fifth of failures."""


_every_proxy = pytest.mark.parametrize("site", ["nginx", "caddy", "haproxy"], indirect=True)
_one_proxy = pytest.mark.parametrize("site", ["nginx"], indirect=True)


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp(request.param), proxy=request.param) as site:
        text = site.config.read_text()
        observe = 'window = "10s"\nmin_window = "3s"\nmax_window = "20s"'
        site.config.write_text(text.replace('judge = "thresholds"\nwindow = "400ms"', observe))
        with visitors(site, paths=_PATHS) as counts:
            await_count(counts, _USUAL_COUNT)
        yield site


def await_count(counts: Counter[int], count: int) -> None:
    until = time.monotonic() + 60
    while counts[200] < count:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def trouble(site: Site) -> Iterator[Path]:
    """While it is there, the dependency that all releases share is down. Nothing is left open for the next test."""
    trouble = site.layout.shared / "data" / "trouble"
    yield trouble
    trouble.unlink(missing_ok=True)
    if len(site.running_slots()) == 2:
        assert site.celadon("rollback").code == 0


def judge(done: Done) -> tuple[int, str, str]:
    """Exit code, judgement and rule."""
    [verdict] = done.events("verdict_reached")
    return done.code, verdict["judgement"], verdict["rule"]


def deploy(site: Site, *, broken: str = "", in_the_window: Callable[[], None] = lambda: None) -> Done:
    site.write_version("next", broken=broken)
    process = site.start_celadon("deploy", "--json")
    output = ""
    for line in process.stdout or ():
        output += line
        if '"window_opened"' in line:
            in_the_window()
    return Done(process.wait(), output)


def bad_answers(counts: Counter[int]) -> int:
    return sum(count for status, count in counts.items() if not 200 <= status < 400)


@_every_proxy
def test_a_release_that_fails_a_fifth_of_one_route_is_taken_back(site: Site) -> None:
    """A fifteenth of all that visitors ask for; the record names the route, and a request that the proxy's log has by
    the same id."""
    with visitors(site, paths=_PATHS) as counts:
        done = deploy(site, broken="search")
    assert judge(done)[:2] == (11, "breach"), done.output
    [verdict] = done.events("verdict_reached")
    worst = verdict["evidence"]["failing_routes"][0]
    assert worst["route"] == "GET /search"
    [line] = [line for line in read_log(site) if worst["sample_id"] and worst["sample_id"] in line]
    assert "GET" in line
    assert "/search" in line
    assert "500" in line
    assert worst["sample_id"] in site.celadon("why").output
    assert 0 < bad_answers(counts) < 300, counts


def read_log(site: Site) -> list[str]:
    if site.proxy != "haproxy":
        return site.layout.access_log.read_text().splitlines()
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(f"{site.state}/a.sock")
        stream.sendall(b"show events celadon_shop\n")
        return stream.makefile().read().splitlines()


@_every_proxy
def test_a_release_that_dies_in_the_window_is_taken_back_at_once(site: Site) -> None:
    with visitors(site, paths=_PATHS) as counts:
        done = deploy(site, broken="dies")
    assert judge(done) in {(11, "breach", "process"), (11, "breach", "refused")}, done.output
    assert bad_answers(counts) < 250, counts


@_one_proxy
def test_a_release_is_not_blamed_for_what_all_releases_share(site: Site, trouble: Path) -> None:
    """Going back would not help; it is not blessed either."""
    with visitors(site, paths=_PATHS):
        done = deploy(site, in_the_window=trouble.touch)
    assert judge(done) == (20, "ambient", "control"), done.output


@_one_proxy
def test_a_bot_brings_no_release_down(site: Site) -> None:
    """It finds a bug that every release has, and nobody else does."""
    with visitors(site, paths=_PATHS) as counts, bot(site) as bot_counts:
        done = deploy(site)
    assert judge(done) == (0, "healthy", "evidence"), done.output
    assert bot_counts[500] > 60
    assert bad_answers(counts) == 0


@contextmanager
def bot(site: Site) -> Iterator[Counter[int]]:
    counts: Counter[int] = Counter()
    over = threading.Event()

    def hammer() -> None:
        while not over.wait(0.02):
            counts[visit_as(site.port, client=_BOT, path="/bug")[0]] += 1

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        yield counts
    finally:
        over.set()
        thread.join()
