"""Real deaths: a real deploy behind a real nginx, its process ended at every named point, under load without retries.

One site lives through the whole sweep: each case leaves it sound, or the next one fails.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.load.running import RunningLoad

from celadon.host.lock import AppLock
from tests.e2e.site import NGINX, Site, open_site

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

BEFORE_THE_BLESS = (
    "locked", "recorded", "mid_unpack", "unpacked", "renamed", "prepared", "before_start", "after_start", "polling",
    "ready", "before_enable", "after_enable", "switch_recorded", "before_pointer", "after_pointer", "seen",
    "window_recorded", "mid_window", "verdict",
)  # fmt: skip
AFTER_THE_BLESS = ("blessed", "old_disabled", "draining", "before_stop", "after_stop", "pruning", "idle")
ON_THE_WAY_BACK = ("old_started", "pointer_back", "candidate_stopped")


@pytest.fixture(scope="module", params=["pointer", "symlink"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp(f"kills-{request.param}"), way=request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def load(site: Site) -> Iterator[RunningLoad]:
    """Over the whole sweep: not one request failed, not one acknowledged order is missing."""
    running = site.start_load(keepalive=1, oneshot=1, posts=1, think_ms=20.0)
    yield running
    tally = running.stop()
    assert tally.failed == 0, dict(tally.faults)
    assert site.lost_orders(tally) == set()
    assert tally.requests > 100


def arm(point: str, action: str = "kill") -> dict[str, str]:
    return {"CELADON_TEST_CHECKPOINT": f"{point}:{action}"}


def assert_sound(site: Site, *, version: str) -> None:
    """I1, I4, I5, I6 and I9, and the traffic where it belongs."""
    assert site.visit() == (200, version)
    status = site.status()
    assert site.running_slots() == [status["route"]["slot"]]
    assert status["running_operation"] is None
    assert not status["interrupted"]
    assert AppLock(site.layout.lock).holder() is None
    litter = [path for path in site.layout.home.rglob("*.partial") if path.parent != site.layout.releases]
    assert litter == []


@pytest.mark.parametrize("point", BEFORE_THE_BLESS)
def test_a_death_before_the_bless_leaves_the_old_release_serving(site: Site, load: RunningLoad, point: str) -> None:
    """The command that followed it recovers and exits 14."""
    _, old = site.visit()
    done = site.deploy(f"dead-{point}", env=arm(point))
    assert done.code == 14, done.output
    assert_sound(site, version=old)


@pytest.mark.parametrize("point", AFTER_THE_BLESS)
def test_a_death_after_the_bless_goes_forward(site: Site, load: RunningLoad, point: str) -> None:
    """The candidate had earned its place."""
    version = f"blessed-{point}"
    done = site.deploy(version, env=arm(point))
    assert done.code == 14, done.output
    assert_sound(site, version=version)


@pytest.mark.parametrize("point", ON_THE_WAY_BACK)
def test_a_death_on_the_way_back_still_goes_back(site: Site, load: RunningLoad, point: str) -> None:
    """An unready post-switch hook is no breach, so the breach is an abort of a long window."""
    _, old = site.visit()
    config = site.app / "celadon.toml"
    short = config.read_text()
    config.write_text(short.replace('window = "400ms"', 'window = "60s"'))
    try:
        site.write_version(f"back-{point}")
        deploying = site.start_celadon("deploy", "--json", env=arm(point))
        for line in deploying.stdout or ():
            if "window_opened" in line:
                break
        site.celadon("abort")
        deploying.communicate(timeout=60)
    finally:
        config.write_text(short)
    recovered = site.celadon("recover")
    assert recovered.code in {0, 14}, recovered.output
    assert_sound(site, version=old)


@pytest.mark.parametrize("point", ["before_pointer", "after_pointer", "seen", "blessed"])
def test_a_death_inside_recovery_is_recovered(site: Site, load: RunningLoad, point: str) -> None:
    """Killed in the switch, then killed again at `point` of the recovery."""
    _, old = site.visit()
    site.write_version("twice")
    dying = site.start_celadon("deploy", env=arm("after_pointer"))
    dying.communicate(timeout=60)
    site.celadon("recover", env=arm(point))
    last = site.celadon("recover")
    assert last.code in {0, 14}, last.output
    assert_sound(site, version=old)


@pytest.mark.parametrize("action", ["enospc", "eio"])
@pytest.mark.parametrize("point", ["renamed", "before_start", "before_enable", "before_pointer", "after_pointer"])
def test_a_disk_that_fails_at_a_point_is_a_failed_step(site: Site, load: RunningLoad, point: str, action: str) -> None:
    """Rejected or rolled back, never half-done."""
    _, old = site.visit()
    done = site.deploy(f"{action}-{point}", env=arm(point, action))
    assert done.code in {10, 11}, done.output
    assert "injected" in done.output
    assert_sound(site, version=old)


@pytest.mark.parametrize("point", ["polling", "switch_recorded", "mid_window"])
def test_a_terminated_operation_stops_safely(site: Site, load: RunningLoad, point: str) -> None:
    """SIGTERM is an abort."""
    _, old = site.visit()
    done = site.deploy(f"term-{point}", env=arm(point, "term"))
    assert done.code in {10, 11}, done.output
    assert_sound(site, version=old)


@pytest.mark.parametrize("point", ["before_pointer", "mid_window"])
def test_a_stopped_operation_goes_on(site: Site, load: RunningLoad, point: str) -> None:
    """SIGSTOP while the lock is held: the others are told, and SIGCONT finishes the deploy."""
    version = f"stopped-{point}"
    site.write_version(version)
    deploying = site.start_celadon("deploy", env=arm(point, "stop"))
    until = time.monotonic() + 30
    holder = None
    while time.monotonic() < until and not (holder and _is_stopped(holder.pid)):
        holder = AppLock(site.layout.lock).holder()
    assert holder is not None
    assert site.celadon("deploy").code == 12
    os.kill(holder.pid, signal.SIGCONT)
    deploying.communicate(timeout=60)
    assert deploying.returncode == 0
    assert_sound(site, version=version)


def test_the_next_deploy_works(site: Site, load: RunningLoad) -> None:
    """I9, after all of the above."""
    assert site.deploy("last").code == 0
    assert_sound(site, version="last")


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
