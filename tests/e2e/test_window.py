"""The window by evidence, with a real proxy and visitors from many addresses."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celadon.store.baseline import read_baseline
from tests.e2e.crowd import visitors
from tests.e2e.judged import order_journey
from tests.e2e.site import Site, open_site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

_BY_THRESHOLDS = 'judge = "thresholds"\nwindow = "400ms"'
_BY_EVIDENCE = 'window = "12s"\nmin_window = "3s"\nmax_window = "12s"'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """v1 is live; from now on evidence judges."""
    with open_site(tmp_path) as site:
        site.config.write_text(site.config.read_text().replace(_BY_THRESHOLDS, _BY_EVIDENCE))
        yield site


def test_a_release_that_fails_one_page_in_three_is_taken_back_in_seconds(site: Site) -> None:
    with visitors(site) as counts:
        done = site.deploy("v2", broken="errors")
    assert done.code == 11, done.output
    assert site.visit() == (200, "v1")
    assert counts[0] == 0
    assert 0 < counts[500] < 150, counts
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


def test_a_deploy_that_nobody_set_a_threshold_for_is_refused(site: Site) -> None:
    text = site.config.read_text()
    site.config.write_text(text.replace('max_error_rate = "5%"\n', ""))
    done = site.deploy("v2")
    assert done.code == 13, done.output
    assert 'max_error_rate = "' in done.output
    assert "Traffic: blue" in done.output
    assert site.visit() == (200, "v1")


def test_a_dry_run_judges_the_live_slot_and_does_nothing(site: Site) -> None:
    config = site.config.read_text().replace("[proxy]", '[proxy]\nlook_path = "/health"')
    site.config.write_text(config.replace(_BY_EVIDENCE, 'window = "1s"\nmax_window = "1s"'))
    assert site.deploy("v2", broken="errors").code == 20
    with visitors(site):
        beside_a_hot_slot = site.celadon("observe", "--dry-run", "--window", "6s", "--json")
    assert json.loads(beside_a_hot_slot.output)["judgement"] == "breach"
    assert json.loads(beside_a_hot_slot.output)["evidence"]["control_count"] > 0
    assert site.celadon("finalize").code == 0
    recorded = site.celadon("history").output
    with visitors(site):
        done = site.celadon("observe", "--dry-run", "--window", "3s", "--json")
    assert done.code == 0, done.output
    verdict = json.loads(done.output)
    assert (verdict["judgement"], verdict["rule"]) == ("breach", "max_error_rate")
    assert verdict["evidence"]["failing_routes"][0]["route"] == "GET /"
    assert site.visit()[1] == "v2"
    assert site.celadon("history").output == recorded
    assert site.celadon("observe").code == 2


def test_errors_that_the_old_release_had_too_bring_nothing_back(site: Site) -> None:
    """Two requests in a hundred fail before the deploy and after it. What was usual is gathered from the log when the
    deploy begins; ten times the rule's floor would else be a fault."""
    evidence = site.config.read_text().replace("[proxy]", '[proxy]\nlook_path = "/health"')
    site.config.write_text(evidence.replace(_BY_EVIDENCE, _BY_THRESHOLDS))
    second = site.deploy("v2", broken="errors")
    assert second.code == 0, second.output
    site.config.write_text(evidence)
    with visitors(site, paths=("/", *["/orders"] * 15), clients_count=8000) as counts:
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


def test_a_good_release_of_an_idle_site_is_blessed_on_fifty_nine_clean_journeys(site: Site) -> None:
    """A first one, whose old release has none of its own, too."""
    site.config.write_text(site.config.read_text() + order_journey(every="100ms"))
    site.write_version("v2")
    done = site.celadon("deploy", "--json")
    assert done.code == 0, done.output
    [verdict] = done.events("verdict_reached")
    assert verdict["evidence"]["units_count"] == 0
    assert verdict["evidence"]["journeys_count"] >= 59
