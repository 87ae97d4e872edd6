"""Real deaths: a real deploy behind a real nginx, its process ended at every named point, under load without retries.

One site lives through the whole sweep: each case leaves it sound, or the next one fails. It switches by the pointer;
what the other ways do differently is swept in test_real_kills_ways.py, what systemd does in tests/e2e/test_systemd.py.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.load.running import RunningLoad

from celadon.host.lock import AppLock
from celadon.model.plan import OperationKind
from tests.crash.killing import (
    HOOKED,
    KILLED,
    RECOVERED,
    SHORT,
    arm,
    assert_sound,
    has_died,
    open_site_to_kill,
    operate,
    read_record,
    record,
    take_back,
    window,
)
from tests.e2e.site import Site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

BEFORE_THE_BLESS = (
    "locked", "recorded", "mid_unpack", "unpacked", "renamed", "prepared", "before_pre_deploy", "after_pre_deploy",
    "before_start", "slot_written", "start_issued", "after_start", "polling", "ready", "before_pre_switch",
    "after_pre_switch", "before_enable", "after_enable", "switch_recorded", "before_pointer", "pointer_written",
    "pointer_renamed", "after_pointer", "seen", "before_post_switch", "after_post_switch", "window_recorded",
    "mid_window", "verdict",
)  # fmt: skip
AFTER_THE_BLESS = (
    "blessed", "old_disabled", "draining", "before_stop", "after_stop", "pruning", "before_post_deploy",
    "after_post_deploy", "idle",
)  # fmt: skip
IN_A_REJECTION = ("candidate_stopped", "before_on_failure", "after_on_failure")
ON_THE_WAY_BACK = (
    "old_started", "before_pointer", "after_pointer", "pointer_back", "before_stop", "after_stop", *IN_A_REJECTION,
)  # fmt: skip
IN_A_ROLLBACK = (
    "locked", "recorded", "before_start", "after_start", "switch_recorded", "before_pointer", "after_pointer", "seen",
)  # fmt: skip
IN_A_BLESSED_ROLLBACK = ("blessed", "after_stop")
IN_A_RECOVERY = {
    "ready": ("locked", "recorded", *IN_A_REJECTION, "ended"),
    "after_pointer": (
        "locked", "recorded", "old_started", "before_pointer", "pointer_written", "pointer_renamed", "after_pointer",
        "seen", "pointer_back", "draining", "before_stop", "after_stop", *IN_A_REJECTION, "ended",
    ),
    "blessed": ("locked", "recorded", *AFTER_THE_BLESS, "ended"),
}  # fmt: skip
"""By the point of the first death: the recovery rejects, goes back, goes forward."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site_to_kill(tmp_path_factory.mktemp("kills"), extra=HOOKED) as opened:
        yield opened


@pytest.fixture(scope="module")
def load(site: Site) -> Iterator[RunningLoad]:
    """Over the whole sweep: not one request failed, not one connection was closed, not one acknowledged order is
    missing."""
    running = site.start_load(keepalive=1, oneshot=1, posts=1, think_ms=20.0)
    yield running
    tally = running.stop()
    assert (tally.failed, tally.closed) == (0, 0), dict(tally.faults)
    assert site.lost_orders(tally) == set()
    assert tally.requests > 20


@pytest.mark.parametrize("point", BEFORE_THE_BLESS)
def test_a_death_before_the_bless_leaves_the_old_release_serving(site: Site, load: RunningLoad, point: str) -> None:
    """The command that followed it recovers and exits 14."""
    _, old = site.visit()
    with window(site, SHORT if point == "verdict" else "60s"):
        done = site.deploy(f"dead-{point}", env=arm(point))
    assert done.code == RECOVERED, done.output
    assert_sound(site, {old})


@pytest.mark.parametrize("point", AFTER_THE_BLESS)
def test_a_death_after_the_bless_goes_forward(site: Site, load: RunningLoad, point: str) -> None:
    """The candidate had earned its place."""
    version = f"blessed-{point}"
    done = site.deploy(version, env=arm(point))
    assert done.code == RECOVERED, done.output
    assert_sound(site, {version})


def test_a_death_after_the_last_word_changes_nothing(site: Site, load: RunningLoad) -> None:
    """It was heard: the command says what the deploy said."""
    done = site.deploy("said", env=arm("ended"))
    assert (done.code, has_died(site)) == (0, True), done.output
    assert_sound(site, {"said"})


@pytest.mark.parametrize("point", IN_A_REJECTION)
def test_a_death_in_a_rejection_leaves_the_old_release_serving(site: Site, load: RunningLoad, point: str) -> None:
    """The candidate never had traffic."""
    _, old = site.visit()
    done = site.deploy(f"rejected-{point}", broken="exit", env=arm(point))
    assert done.code == RECOVERED, done.output
    assert_sound(site, {old})


@pytest.mark.parametrize("point", ON_THE_WAY_BACK)
def test_a_death_on_the_way_back_still_goes_back(site: Site, load: RunningLoad, point: str) -> None:
    """From a window that was aborted."""
    _, old = site.visit()
    again = point in BEFORE_THE_BLESS
    done = take_back(site, f"back-{point}", env=arm(point, nth=1 + again))
    assert done.code == RECOVERED, done.output
    assert_sound(site, {old})


@pytest.fixture(scope="module")
def two_releases(site: Site) -> tuple[str, str]:
    """Both blessed: a rollback goes from the one to the other."""
    assert site.deploy("one").code == 0
    assert site.deploy("two").code == 0
    return "one", "two"


@pytest.mark.parametrize("point", [*IN_A_ROLLBACK, *IN_A_BLESSED_ROLLBACK])
def test_a_death_in_a_rollback_leaves_one_of_the_two(
    site: Site, load: RunningLoad, two_releases: tuple[str, str], point: str
) -> None:
    """To a release that was parked: before the bless what had served serves, after it the one asked for."""
    _, old = site.visit()
    [other] = {*two_releases} - {old}
    done = site.celadon("rollback", env=arm(point))
    assert done.code == RECOVERED, done.output
    assert_sound(site, {other if point in IN_A_BLESSED_ROLLBACK else old})


@pytest.mark.parametrize(
    ("first", "point"), [(first, point) for first, points in IN_A_RECOVERY.items() for point in points]
)
def test_a_death_inside_recovery_is_recovered(site: Site, load: RunningLoad, first: str, point: str) -> None:
    """Killed in the deploy, then killed again at `point` of the recovery."""
    _, old = site.visit()
    version = f"twice-{first}-{point}"
    site.write_version(version)
    assert operate(site, OperationKind.DEPLOY, env=arm(first)) == KILLED
    assert operate(site, OperationKind.RECOVER, env=arm(point)) == KILLED
    assert site.celadon("recover").code == (0 if point == "ended" else RECOVERED)
    assert_sound(site, {version if first == "blessed" else old})


@pytest.mark.parametrize("action", ["enospc", "eio"])
@pytest.mark.parametrize(
    "point", ["renamed", "before_start", "before_enable", "before_pointer", "pointer_renamed", "after_pointer"]
)
def test_a_disk_that_fails_at_a_point_is_a_failed_step(site: Site, load: RunningLoad, point: str, action: str) -> None:
    """Rejected or rolled back, never half-done."""
    _, old = site.visit()
    done = site.deploy(f"{action}-{point}", env=arm(point, action))
    assert done.code in {10, 11}, done.output
    assert "injected" in done.output
    assert_sound(site, {old})


@pytest.mark.parametrize("point", ["polling", "switch_recorded", "mid_window"])
def test_a_terminated_operation_stops_safely(site: Site, load: RunningLoad, point: str) -> None:
    """SIGTERM is an abort."""
    _, old = site.visit()
    with window(site, "60s"):
        done = site.deploy(f"term-{point}", env=arm(point, "term"))
    assert done.code in {10, 11}, done.output
    assert_sound(site, {old})


@pytest.mark.parametrize("point", ["before_pointer", "mid_window"])
def test_a_stopped_operation_goes_on(site: Site, load: RunningLoad, point: str) -> None:
    """SIGSTOP while the lock is held: the others are told, and SIGCONT finishes the deploy."""
    version = f"stopped-{point}"
    site.write_version(version)
    with window(site, "2s"):
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
    assert_sound(site, {version})


def test_no_point_is_forgotten(site: Site, load: RunningLoad) -> None:
    """What deploys pass that end well, rejected and rolled back is in the lists above, and each recovery passes the
    points of its own."""
    log = site.base / "passed"
    with window(site, "1s"):
        assert site.deploy("last", env=record(log)).code == 0
    assert site.deploy("unready", broken="exit", env=record(log)).code == 10
    assert take_back(site, "aborted", env=record(log)).code == 11
    assert read_record(log) == {*BEFORE_THE_BLESS, *AFTER_THE_BLESS, *ON_THE_WAY_BACK, "ended"}
    for first, points in IN_A_RECOVERY.items():
        log.unlink()
        site.write_version(f"recorded-{first}")
        assert operate(site, OperationKind.DEPLOY, env=arm(first)) == KILLED
        assert operate(site, OperationKind.RECOVER, env=record(log)) == RECOVERED
        assert read_record(log) == {*points}


def test_the_next_deploy_works(site: Site, load: RunningLoad) -> None:
    """I9, after all of the above."""
    assert site.deploy("next").code == 0
    assert_sound(site, {"next"})
    assert not site.status()["interrupted"]


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
