"""A disk that is full to the last byte, for real: a small tmpfs under the state directory, filled at the two worst
moments. The journal, the pointer and the proxy's log all lie on it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.host.lock import AppLock
from tests.e2e.site import Site
from tests.e2e.site_proxies import NGINX

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not Path(NGINX).exists() or os.geteuid() != 0, reason="needs root and nginx"),
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    opened = Site(tmp_path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "tmpfs", opened.state], check=True)
    opened.start_proxy()
    try:
        first = opened.deploy("v1")
        assert first.code == 0, first.output
        yield opened
    finally:
        make_room(opened)
        opened.close()


def fill(site: Site) -> None:
    """Not a byte is left, nor room for a directory entry that needs a page."""
    with (site.state / "ballast").open("ab", buffering=0) as ballast:
        for size in (65536, 4096, 1):
            try:
                while True:
                    ballast.write(b"\0" * size)
            except OSError:
                continue
    assert os.statvfs(site.state).f_bavail == 0


def make_room(site: Site) -> None:
    (site.state / "ballast").unlink(missing_ok=True)


def await_stopped(site: Site) -> int:
    """The pid of the operation that a checkpoint has stopped."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        holder = AppLock(site.layout.lock).holder()
        if holder is not None:
            state = Path(f"/proc/{holder.pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "T":
                return holder.pid
        time.sleep(0.01)
    raise AssertionError("no operation stopped")


def test_a_disk_that_fills_up_before_the_switch_record_keeps_a_release_serving(site: Site) -> None:
    """Done or back, never half-done; and the next deploy works when there is room again."""
    load = site.start_load(keepalive=1, oneshot=1, posts=0)
    site.write_version("v2")
    deploying = site.start_celadon("deploy", env={"CELADON_TEST_CHECKPOINT": "after_enable:stop"})
    pid = await_stopped(site)
    fill(site)
    os.kill(pid, signal.SIGCONT)
    output, _ = deploying.communicate(timeout=60)
    assert deploying.returncode in {0, 10, 11, 20}, output
    blessed = "is blessed" in output
    assert site.visit() == (200, "v2" if blessed else "v1")
    assert deploying.returncode != 20 or "celadon recover" in output
    make_room(site)
    assert site.celadon("recover").code in {0, 14}
    assert site.visit() == (200, "v2" if blessed else "v1")
    assert len(site.running_slots()) == 1
    assert site.deploy("v3").code == 0
    assert site.visit() == (200, "v3")
    tally = load.stop()
    assert tally.failed == 0, dict(tally.faults)


def test_a_rollback_works_on_a_full_disk(site: Site) -> None:
    """The way back needs no room: pointer, journal and proof."""
    config = site.app / "celadon.toml"
    config.write_text(config.read_text().replace("[observe]", '[observe]\nbless = "manual"'))
    assert site.deploy("v2").code == 20
    load = site.start_load(keepalive=1, oneshot=1, posts=0)
    fill(site)
    back = site.celadon("rollback")
    assert site.visit() == (200, "v1")
    assert back.code == 0, back.output
    assert site.running_slots() == ["blue"]
    make_room(site)
    assert site.deploy("v3").code == 20
    tally = load.stop()
    assert tally.failed == 0, dict(tally.faults)
