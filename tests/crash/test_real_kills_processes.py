"""Real deaths of a deploy with a release command, an exclusive worker and one that overlaps: at the points that those
add to the ones of test_real_kills.py. Plain processes behind nginx; what each runner does is its contract suite's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.host.processes import find_marked
from celadon.model.names import Slot
from tests.crash.killing import RECOVERED, SHORT, arm, assert_sound, open_site_to_kill, read_record, record, window
from tests.crash.test_real_kills import AFTER_THE_BLESS, BEFORE_THE_BLESS
from tests.e2e.site import Site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

PROCESSES = """
[processes.release]
run = "true"
[processes.mail]
run = "sleep 600"
quiet_signal = "SIGCONT"
[processes.clock]
run = "sleep 600"
handover = "exclusive"
"""
BEFORE = (
    "before_release_command", "release_command_started", "release_command_ended", "worker_starting", "worker_started",
    "worker_quieted", "worker_stopping", "worker_stopped", "workers_handed_over",
)  # fmt: skip
AFTER = ("workers_settled",)
NAMES = ("mail", "clock", "release")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site_to_kill(tmp_path_factory.mktemp("kills"), extra=PROCESSES) as opened:
        yield opened


def assert_workers_sound(site: Site) -> None:
    """Both run where the traffic goes, once, and nothing else does."""
    [live] = site.running_slots()
    home = site.layout.home / "processes"
    counts = {
        (name, slot.value): len(find_marked(f"CELADON_SLOT_DIRECTORY={home / name / slot}".encode()))
        for name in NAMES
        for slot in Slot
    }
    assert {place: count for place, count in counts.items() if count} == {("mail", live): 1, ("clock", live): 1}


@pytest.mark.parametrize("point", BEFORE)
def test_a_death_before_the_bless_leaves_the_old_workers_at_work(site: Site, point: str) -> None:
    """With the old release; what was moved by then has gone back."""
    _, old = site.visit()
    with window(site, "60s"):
        done = site.deploy(f"dead-{point}", env=arm(point))
    assert done.code == RECOVERED, done.output
    assert_sound(site, {old})
    assert_workers_sound(site)


@pytest.mark.parametrize("point", AFTER)
def test_a_death_after_the_bless_leaves_the_new_workers_at_work(site: Site, point: str) -> None:
    """With the candidate, which had earned its place."""
    done = site.deploy(f"blessed-{point}", env=arm(point))
    assert done.code == RECOVERED, done.output
    assert_sound(site, {f"blessed-{point}"})
    assert_workers_sound(site)


def test_no_point_is_forgotten(site: Site) -> None:
    """Of a deploy; the others stand in test_real_kills.py."""
    log = site.base / "passed"
    with window(site, SHORT):
        assert site.deploy("last", env=record(log)).code == 0
    assert read_record(log) - {*BEFORE_THE_BLESS, *AFTER_THE_BLESS, "ended"} == {*BEFORE, *AFTER}
    assert_workers_sound(site)
