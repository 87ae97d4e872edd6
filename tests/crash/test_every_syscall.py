"""Death at every system call that changes something, with no names: strace ends the operation's own process at the
N-th call of each kind, for one deploy and for one rollback of a parked release. Its children are left alone, as they
would be. One site lives through a whole sweep, under load without retries.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.load.running import RunningLoad

from celadon.model.plan import OperationKind
from tests.crash.killing import KILLED, assert_sound, open_site_to_kill, operate
from tests.e2e.site import Site
from tests.e2e.site_proxies import NGINX

WHOLE = "CELADON_TEST_WHOLE_SWEEP" in os.environ

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(7200 if WHOLE else 900),
    pytest.mark.skipif(
        not Path(NGINX).exists() or shutil.which("strace") is None, reason="nginx or strace is not installed"
    ),
]

CALLS = (
    "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir",
    "mkdirat", "rmdir", "fsync", "fdatasync", "pwrite64", "write", "ftruncate", "chmod", "fchmod", "fchmodat", "chown",
    "fchown", "lchown", "fchownat", "kill", "clone", "clone3", "fork", "vfork", "utimensat",
)  # fmt: skip
THINNED = {} if WHOLE else {"pwrite64": 17, "fdatasync": 9, "fchown": 7}
"""Each append to the journal is some 16 pages, 4 fdatasyncs and 2 fchowns (538, 140 and 61 calls in a deploy). Steps
that share no factor with those counts reach every place within an append, at another append each time. With the
variable set nothing is left out, and the two sweeps take half an hour."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_site_to_kill(tmp_path) as opened:
        yield opened


@pytest.fixture
def load(site: Site) -> Iterator[RunningLoad]:
    running = site.start_load(keepalive=1, oneshot=1, posts=1, think_ms=20.0)
    yield running
    tally = running.stop()
    assert tally.failed == 0, dict(tally.faults)
    assert site.lost_orders(tally) == set()
    assert tally.requests > 100


def count_calls(site: Site, kind: OperationKind) -> Counter[str]:
    """Of one operation that nobody ends."""
    trace = site.base / "trace"
    traced = f"trace={','.join('?' + call for call in CALLS)}"
    assert operate(site, kind, strace=("-o", str(trace), "-e", traced)) == 0
    return Counter(re.findall(r"^(\w+)\(", trace.read_text(), flags=re.MULTILINE))


def points_of(counted: Counter[str]) -> list[tuple[str, int]]:
    return [
        (call, nth)
        for call, count in sorted(counted.items())
        for nth in range(1, count + 1, THINNED.get(call, 1))
    ]  # fmt: skip


def end_at(site: Site, kind: OperationKind, call: str, nth: int) -> int:
    inject = f"inject={call}:signal=SIGKILL:when={nth}"
    return operate(site, kind, strace=("-o", os.devnull, "-e", f"trace={call}", "-e", inject))


def test_a_deploy_that_dies_at_any_call_is_recovered(site: Site, load: RunningLoad) -> None:
    """Some 160 points: before the bless the old release serves, after it the new one; then the next deploy works."""
    site.write_version("counted")
    points = points_of(count_calls(site, OperationKind.DEPLOY))
    assert len(points) > 50
    live, ended_count = "counted", 0
    for number, (call, nth) in enumerate(points):
        version = f"d{number}"
        site.write_version(version)
        code = end_at(site, OperationKind.DEPLOY, call, nth)
        where = f"{call} {nth}"
        ended_count += code == KILLED
        assert code in {0, KILLED, 14}, f"{where}: exit {code}"
        assert operate(site, OperationKind.RECOVER) in {0, 14}, where
        live = assert_sound(site, {live, version}, where=where)
    assert ended_count > len(points) * 0.9
    site.write_version("last")
    assert operate(site, OperationKind.DEPLOY) == 0
    assert_sound(site, {"last"}, where="the end")


def test_a_rollback_that_dies_at_any_call_is_recovered(site: Site, load: RunningLoad) -> None:
    """Either of the two releases serves, whole; then the next rollback works."""
    assert site.deploy("v2").code == 0
    points = points_of(count_calls(site, OperationKind.ROLLBACK))
    assert len(points) > 30
    ended_count = 0
    for call, nth in points:
        code = end_at(site, OperationKind.ROLLBACK, call, nth)
        where = f"{call} {nth}"
        ended_count += code == KILLED
        assert code in {0, KILLED, 14}, f"{where}: exit {code}"
        assert operate(site, OperationKind.RECOVER) in {0, 14}, where
        assert_sound(site, {"v1", "v2"}, where=where)
    assert ended_count > len(points) * 0.9
    _, before = site.visit()
    assert operate(site, OperationKind.ROLLBACK) == 0
    assert assert_sound(site, {"v1", "v2"}, where="the end") != before
