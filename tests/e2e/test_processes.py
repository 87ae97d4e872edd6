"""The other processes of an app, with the real nginx, real processes and the `celadon` command."""

import json
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from celadon.host.processes import find_marked
from celadon.model.names import Slot
from tests.e2e.job_queue import CLOCK, MAIL, JobQueue
from tests.e2e.site import Site, go_live, open_site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

MIGRATE = f"""
[processes.release]
run = "{sys.executable} -S -E migrate.py"
timeout = "20s"
"""
WORKERS = f"""
[processes.mail]
run = "{sys.executable} -S -E mail.py"
quiet_signal = "SIGUSR1"
grace = "10s"
replicas = 2
[processes.clock]
run = "{sys.executable} -S -E clock.py"
handover = "exclusive"
grace = "10s"
"""
HANGS = "import os, time\nos.fork()\nprint('waiting for a lock', flush=True)\ntime.sleep(600)\n"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Its first release migrates nothing."""
    with open_site(tmp_path) as opened:
        opened.config.write_text(opened.config.read_text() + MIGRATE)
        yield opened


def find_release_command(site: Site) -> list[int]:
    home = site.layout.home / "processes" / "release"
    return [pid for slot in Slot for pid in find_marked(f"CELADON_SLOT_DIRECTORY={home / slot}".encode())]


def test_a_release_command_runs_in_the_new_release_before_it_starts(site: Site) -> None:
    """With the release's variables, and its output is kept beside the tree; a rollback runs none."""
    (site.app / "migrate.py").write_text(
        "import os, pathlib\nprint('migrated by', os.environ['CELADON_RELEASE'], pathlib.Path('VERSION').read_text())\n"
    )
    assert site.deploy("v2").code == 0
    kept = site.layout.release(2) / "release.log"
    assert kept.read_text() == "migrated by r2 v2\n\n"
    kept.unlink()
    assert site.celadon("rollback").code == 0
    assert site.celadon("rollback", "r2").code == 0
    assert not kept.exists()


def test_a_release_command_that_fails_rejects_with_its_last_lines(site: Site) -> None:
    """Exit 10, where traffic goes, and what to read."""
    (site.app / "migrate.py").write_text("print('no such table: orders')\nraise SystemExit(3)\n")
    done = site.deploy("v2")
    assert done.code == 10, done.output
    for part in ("migrate.py` exited with 3: no such table: orders", "Traffic: blue, r1", "release.log"):
        assert part in done.output, done.output
    assert (site.visit(), site.running_slots()) == ((200, "v1"), ["blue"])
    why = site.celadon("why")
    assert "no such table: orders" in why.output


def test_an_abort_ends_a_release_command_with_its_children(site: Site) -> None:
    """Also what it forked."""
    (site.app / "migrate.py").write_text(HANGS)
    site.write_version("v2")
    deploying = site.start_celadon("deploy")
    until = time.monotonic() + 20
    while len(find_release_command(site)) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert site.celadon("abort").code == 10
    output, _ = deploying.communicate(timeout=30)
    assert deploying.returncode == 10, output
    assert find_release_command(site) == []
    assert site.visit() == (200, "v1")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[tuple[Site, JobQueue]]:
    """A site with two workers, and jobs for one of them all the time."""
    site = Site(tmp_path, extra=WORKERS)
    (site.app / "mail.py").write_text(MAIL)
    (site.app / "clock.py").write_text(CLOCK)
    data = site.layout.shared / "data"
    data.mkdir(parents=True)
    made = JobQueue(data / "jobs.db")
    try:
        with go_live(site):
            yield site, made
    finally:
        made.close()


NAMES = ("mail.1", "mail.2", "clock")


def find_workers(site: Site, slot: Slot) -> dict[str, int]:
    """How many processes of each run there."""
    home = site.layout.home / "processes"
    counts = {name: len(find_marked(f"CELADON_SLOT_DIRECTORY={home / name / slot}".encode())) for name in NAMES}
    return {name: count for name, count in counts.items() if count}


def test_no_job_is_lost_or_done_twice_over_deploys_and_ways_back(queue: tuple[Site, JobQueue]) -> None:
    """A good deploy, one whose worker ends in the window, a rollback, another deploy; and never were two of the
    exclusive worker alive."""
    site, jobs = queue
    assert site.deploy("v2").code == 0
    bad = site.deploy("broken-v3")
    assert (bad.code, "the worker mail.1 ended with code 5" in bad.output) == (11, True), bad.output
    assert "celadon logs --slot blue --process mail.1" in bad.output
    assert "celadon logs --slot blue --process mail.1" in site.celadon("why").output
    assert find_workers(site, Slot.GREEN) == dict.fromkeys(NAMES, 1)
    assert find_workers(site, Slot.BLUE) == {}
    [slot] = [line for line in json.loads(site.celadon("status", "--json").output)["slots"] if line["processes"]]
    assert {name: view["status"] for name, view in slot["processes"].items()} == dict.fromkeys(NAMES, "running")
    assert site.celadon("logs", "--process", "mail.1").output.splitlines()[-1] == "mail of v2"
    unknown = site.celadon("logs", "--process", "nobody")
    assert (unknown.code, "there are web, clock, mail.1, mail.2" in unknown.output) == (2, True), unknown.output
    assert site.celadon("rollback").code == 0
    assert site.deploy("v4").code == 0
    jobs.close()
    jobs.await_done()
    put_in, lost, doubled = jobs.count()
    assert (put_in > 200, lost, doubled) == (True, 0, 0)
    assert {"v1", "v2", "v4"} <= set(jobs.versions())
    alive = jobs.alive()
    assert [version for version, _, _ in alive] == ["v1", "v2", "broken-v3", "v2", "v1", "v4"]
    assert all(until < began for (_, _, until), (_, began, _) in pairwise(alive)), alive
    assert find_workers(site, Slot.GREEN) == dict.fromkeys(NAMES, 1)
    assert find_workers(site, Slot.BLUE) == {}
