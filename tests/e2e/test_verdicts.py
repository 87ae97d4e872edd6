"""The right verdict on each release, whatever its trouble, behind each proxy; and what it costs the visitors: the bound
on bad answers is asserted, the count is printed (pytest -rP)."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.single_visit import visit_as
from tests.e2e.crowd import visitors
from tests.e2e.judged import (
    PATHS,
    bad_answers,
    deploy,
    judge,
    observing,
    open_judged_site,
    order_journey,
    settle,
    usual_visitors,
    verdict_of,
)
from tests.e2e.site import Site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

_BOT = "127.99.0.1"
_DIES_AFTER_S = 4
_SEEN_TIMEOUT_S = 10.0


@pytest.fixture(scope="module", params=["nginx", "caddy", "haproxy"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_judged_site(tmp_path_factory.mktemp(request.param), proxy=request.param) as opened:
        yield opened


@pytest.fixture(autouse=True)
def shared(site: Site) -> Iterator[Path]:
    """The directory that all releases share: while there is a file `trouble`, what they all depend on is down."""
    shared = site.layout.shared / "data"
    yield shared
    (shared / "trouble").unlink(missing_ok=True)
    settle(site)


def test_a_release_that_fails_a_fifth_of_one_route_is_taken_back(site: Site) -> None:
    """A fifteenth of all that visitors ask for; the record names the route, and a request that the proxy's log has by
    the same id."""
    with observing(site, window="10s", min_window="10s", max_window="10s"), usual_visitors(site) as counts:
        done = deploy(site, broken="search")
    assert judge(done)[:2] == (11, "breach"), done.output
    worst = verdict_of(done)["evidence"]["failing_routes"][0]
    assert worst["route"] == "GET /search"
    [line] = [line for line in read_log(site) if worst["sample_id"] and worst["sample_id"] in line]
    assert "GET" in line
    assert "/search" in line
    assert "500" in line
    assert worst["sample_id"] in site.celadon("why").output
    print(f"bad answers: {bad_answers(counts)}")
    assert 0 < bad_answers(counts) < 200, counts


def read_log(site: Site) -> list[str]:
    if site.proxy != "haproxy":
        return site.layout.access_log.read_text().splitlines()
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(f"{site.state}/a.sock")
        stream.sendall(b"show events celadon_shop\n")
        return stream.makefile().read().splitlines()


def test_a_release_that_searches_three_times_as_long_is_taken_back(site: Site) -> None:
    """All answers are good ones. Most pages are as quick as they were."""
    with observing(site, window="10s", min_window="10s", max_window="10s"), usual_visitors(site) as counts:
        done = deploy(site, broken="sluggish")
    assert judge(done) == (11, "breach", "latency"), done.output
    print(f"slow answers: {verdict_of(done)['evidence']['requests_count'] // len(PATHS)}")
    assert verdict_of(done)["evidence"]["requests_count"] < 1000
    assert bad_answers(counts) == 0, counts


def test_a_release_that_dies_late_in_the_window_is_taken_back_at_once(site: Site, shared: Path) -> None:
    (shared / "dies_after_s").write_text(f"{_DIES_AFTER_S}")
    with observing(site, window="10s", min_window="10s", max_window="10s"), visitors(site, paths=PATHS) as counts:
        done = deploy(site, broken="dies")
    assert judge(done) in {(11, "breach", "process"), (11, "breach", "refused")}, done.output
    assert verdict_of(done)["evidence"]["elapsed_s"] < _DIES_AFTER_S + 1
    print(f"bad answers: {bad_answers(counts)}")
    assert bad_answers(counts) < 400, counts


def test_a_release_is_not_blamed_for_what_all_releases_share(site: Site, shared: Path) -> None:
    """Going back would not help; it is not blessed either."""
    with observing(site, window="5s", max_window="5s"), usual_visitors(site) as counts:
        done = deploy(site, in_the_window=(shared / "trouble").touch)
    assert judge(done) == (20, "ambient", "control"), done.output
    print(f"bad answers: {bad_answers(counts)}")
    assert site.running_slots() == ["blue", "green"]


def test_a_release_whose_every_page_fails_is_not_looked_at_for_long(site: Site, shared: Path) -> None:
    """It is ready all the same. The look through the proxy finds it, and waits a second for a page, not for as long as
    a proxy may take to move."""
    (shared / "later").touch()
    with usual_visitors(site) as counts:
        done = deploy(site, broken="later")
    (shared / "later").unlink()
    assert done.code == 11, done.output
    [switch] = [step for step in done.events("step_ended") if step["step"] == "switch"]
    assert "500 from" in switch["reason"]
    assert switch["duration_s"] < _SEEN_TIMEOUT_S / 2
    print(f"bad answers: {bad_answers(counts)}")


def test_a_bot_brings_no_release_down(site: Site) -> None:
    """It finds a bug that every release has, and nobody else does."""
    with (
        observing(site, window="10s", min_window="600ms"),
        usual_visitors(site) as counts,
        bot(site) as bot_counts,
    ):
        done = deploy(site)
    assert judge(done) == (0, "healthy", "evidence"), done.output
    assert verdict_of(done)["evidence"]["failed_count"] > 30
    assert set(bot_counts) == {500}
    print(f"bad answers: {bad_answers(counts)}")
    assert bad_answers(counts) == 0, counts


@contextmanager
def bot(site: Site) -> Iterator[Counter[int]]:
    counts: Counter[int] = Counter()
    over = threading.Event()

    def hammer() -> None:
        while not over.wait(0.005):
            counts[visit_as(site.port, client=_BOT, path="/bug")[0]] += 1

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        yield counts
    finally:
        over.set()
        thread.join()


def test_a_release_that_nobody_visits_is_left_to_a_person(site: Site) -> None:
    """No data is no success."""
    with observing(site, window="1s", min_window="500ms", max_window="1s"):
        done = deploy(site)
    assert judge(done)[:2] == (20, "undecided"), done.output
    assert "[[journeys]] in celadon.toml stand in for visitors" in verdict_of(done)["reason"]
    assert verdict_of(done)["evidence"]["requests_count"] == 0
    assert site.running_slots() == ["blue", "green"]


def test_a_dead_release_of_an_idle_site_is_found_by_its_journey_within_five_seconds(site: Site) -> None:
    """Readiness says yes to the end. The proxy's log has the journey's requests, and none counts as a visitor's."""
    with observing(site, window="0s", max_window="0s", extra=order_journey(every="1s")):
        assert deploy(site).code == 20
        assert site.celadon("finalize").code == 0
    _, live = site.visit()
    with observing(site, window="10s", max_window="10s", extra=order_journey(every="1s")):
        done = deploy(site, broken="books")
    assert done.code == 11, done.output
    entries = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
    at = {entry["body"]["event"]: entry["at"] for entry in entries}
    assert at["switch_seen"] - at["window_opened"] <= 5.0
    evidence = verdict_of(done)["evidence"]
    assert (evidence["requests_count"], evidence["control_failed_count"]) == (0, 0)
    assert evidence["journeys_failed_count"] == evidence["journeys_count"] >= 3
    failed = done.events("journey_failed")[0]
    assert (failed["status"], failed["through_proxy"]) == (500, True)
    [postflight] = done.events("postflight_ran")
    assert (postflight["journeys_count"], postflight["failed"]) == (1, [])
    assert site.visit() == (200, live)
