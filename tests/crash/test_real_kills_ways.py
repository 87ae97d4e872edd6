"""Real deaths in the other ways of switching: those that reload. The pointers stand in test_real_kills_pointers.py.

Only the points where a way acts, from the enabled boot to the switch that was seen, and one on either side of the
bless: what comes before and after is the same code whatever the proxy, and test_real_kills.py ends it at every point.
Between the death and the recovery the proxy's own configuration is valid and a visitor is answered.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.load.client import Tally
from bench.load.running import RunningLoad

from celadon.host.commands import run_command
from celadon.model.plan import OperationKind
from tests.crash.killing import (
    KILLED,
    RECOVERED,
    SHORT,
    arm,
    assert_sound,
    open_site_to_kill,
    operate,
    read_record,
    record,
    window,
)
from tests.crash.test_real_kills import AFTER_THE_BLESS, BEFORE_THE_BLESS
from tests.e2e.site import Site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

BY_POINTER = (
    "after_enable", "switch_recorded", "before_pointer", "pointer_written", "pointer_renamed", "after_pointer", "seen",
    "mid_window", "blessed",
)  # fmt: skip
BY_RELOAD = ("validated", "before_reload", "after_reload")


@pytest.fixture(scope="module", params=["nginx-symlink", "nginx-include", "caddy-reload", "haproxy-reload"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One that reloads."""
    proxy, way = request.param.split("-")
    with open_site_to_kill(tmp_path_factory.mktemp("kills"), proxy=proxy, way=way) as opened:
        yield opened


@pytest.fixture(scope="module")
def load(site: Site) -> Iterator[RunningLoad]:
    """No acknowledged order is missing, no request fails; but a reload of Caddy loses about one (FACTS: 23 in 22)."""
    running = start_light_load(site)
    yield running
    tally = stop_load(site, running)
    reloads_count = (site.conf / "error.log").read_text().count("load complete")
    assert tally.failed <= (reloads_count if site.proxy == "caddy" else 0), dict(tally.faults)


def start_light_load(site: Site) -> RunningLoad:
    return site.start_load(keepalive=1, oneshot=1, posts=1, think_ms=20.0)


def stop_load(site: Site, running: RunningLoad) -> Tally:
    tally = running.stop()
    assert site.lost_orders(tally) == set()
    assert tally.requests > 20
    return tally


def assert_dies_well(site: Site, point: str) -> None:
    _, old = site.visit()
    version = f"dead-{point}"
    site.write_version(version)
    with window(site, SHORT if point in AFTER_THE_BLESS else "60s"):
        assert operate(site, OperationKind.DEPLOY, env=arm(point)) == KILLED
    assert_serving(site, {old, version})
    assert operate(site, OperationKind.RECOVER) == RECOVERED
    assert_sound(site, {version if point in AFTER_THE_BLESS else old})


def assert_serving(site: Site, versions: set[str]) -> None:
    """I1 and I7, with nobody having recovered anything."""
    status, version = site.visit()
    assert (status, version in versions) == (200, True), version
    judged = site.judge()
    assert judged is None or run_command(judged, timeout_s=30.0).ok


@pytest.mark.parametrize("point", [*BY_POINTER, *BY_RELOAD])
def test_a_death_in_a_switch_by_reload_is_recovered(site: Site, load: RunningLoad, point: str) -> None:
    """Before the bless the old release serves, after it the new one."""
    assert_dies_well(site, point)


@pytest.mark.parametrize("point", BY_RELOAD)
def test_a_death_in_a_rollback_by_reload_is_recovered(site: Site, load: RunningLoad, point: str) -> None:
    """What had served serves."""
    assert site.deploy(f"newer-{point}").code == 0
    assert site.celadon("rollback", env=arm(point)).code == RECOVERED
    assert_sound(site, {f"newer-{point}"})


@pytest.mark.parametrize("point", BY_RELOAD)
def test_a_death_in_the_reload_of_a_recovery_is_recovered(site: Site, load: RunningLoad, point: str) -> None:
    """Killed when the candidate had been loaded, then killed again on the way back."""
    _, old = site.visit()
    site.write_version(f"twice-{point}")
    assert operate(site, OperationKind.DEPLOY, env=arm("after_reload")) == KILLED
    assert operate(site, OperationKind.RECOVER, env=arm(point)) == KILLED
    assert_serving(site, {old, f"twice-{point}"})
    assert operate(site, OperationKind.RECOVER) == RECOVERED
    assert_sound(site, {old})


@pytest.mark.parametrize("point", ["before_pointer", "pointer_renamed", "after_pointer", "after_reload"])
def test_a_disk_that_is_full_in_a_switch_by_reload_is_a_failed_step(site: Site, load: RunningLoad, point: str) -> None:
    """The route is back on the old release."""
    _, old = site.visit()
    done = site.deploy(f"full-{point}", env=arm(point, "enospc"))
    assert done.code == 11, done.output
    assert "injected" in done.output
    assert_sound(site, {old})


def test_no_point_of_a_reload_is_forgotten(site: Site, load: RunningLoad) -> None:
    """What a deploy passes is swept here or in test_real_kills.py; then nothing is left to recover (I9)."""
    log = site.base / "passed"
    with window(site, "1s"):
        assert site.deploy("last", env=record(log)).code == 0
    assert read_record(log) == {*BEFORE_THE_BLESS, *AFTER_THE_BLESS, *BY_RELOAD, "ended"}
    assert_sound(site, {"last"})
