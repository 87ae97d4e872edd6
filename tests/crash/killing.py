"""Ending a real operation at a named point, under load, and what must hold afterwards."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from celadon.app.compose import make_proxy
from celadon.app.inforce import read_in_force
from celadon.app.order import write_order
from celadon.app.status import observe_status
from celadon.app.verbs import choose_source, order_of
from celadon.config.load import load_settings
from celadon.host.checkpoint import ARMED_BY, RECORDED_BY, TEST_INSTALL
from celadon.host.lock import AppLock
from celadon.model.names import Slot
from celadon.model.observed import SlotStatus
from celadon.model.plan import OperationKind
from tests.e2e.site import REPOSITORY, Done, Site, open_site

KILLED = -9
RECOVERED = 14
HOOKED = '[hooks]\npre_switch = ["true"]'
"""A hook to die around, for `extra` of a site."""


def arm(point: str, action: str = "kill", *, nth: int = 1) -> dict[str, str]:
    return {ARMED_BY: f"{point}:{action}:{nth}"}


def read_record(path: Path) -> set[str]:
    """The points that were passed with `record(path)` in the environment."""
    return set(path.read_text().split())


def record(path: Path) -> dict[str, str]:
    return {RECORDED_BY: str(path)}


def has_died(site: Site) -> bool:
    """The install's mark is used up by the death that was asked for."""
    return not (site.state / TEST_INSTALL).exists()


def operate(
    site: Site, kind: OperationKind, *, strace: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> int:
    """The operation in the foreground, with nobody to follow and recover it; its exit code, negative for a signal.
    `strace` is what follows that word, of one that traces it from its beginning."""
    settings = load_settings(site.app / "celadon.toml", root=site.state).settings
    deploys = kind is OperationKind.DEPLOY
    order = order_of(
        site.layout,
        kind,
        lead="ada",
        settings=settings if deploys else None,
        source=choose_source(settings, None) if deploys else None,
    )
    path = site.base / "order"
    write_order(order, path)
    [code] = start_warm().operate([path], site.variables(env), strace=strace)
    return code


class Warm:
    """A process that forks operations: an interpreter's start is as long as what it is to be killed in."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.warm"],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def operate(
        self, orders: Sequence[Path], environment: Mapping[str, str], *, strace: tuple[str, ...] = ()
    ) -> list[int]:
        """Exit codes of operations that begin in the same instant. `strace` traces the first."""
        self._say(json.dumps({"orders": [str(order) for order in orders], "environment": environment}))
        pids = self._hear()
        with _traced(pids[0], strace):
            self._say("begin")
            return self._hear()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _hear(self) -> list[int]:
        assert self._process.stdout is not None
        return list(json.loads(self._process.stdout.readline()))


@cache
def start_warm() -> Warm:
    """One for all tests of this process; it ends when nobody can speak to it any more."""
    return Warm()


@contextlib.contextmanager
def _traced(pid: int, strace: tuple[str, ...]) -> Iterator[None]:
    if not strace:
        yield
        return
    tracer = subprocess.Popen(["strace", "-qq", "-p", str(pid), *strace], stderr=subprocess.DEVNULL)
    attached = f"TracerPid:\t{tracer.pid}\n"
    until = time.monotonic() + 30
    while attached not in Path(f"/proc/{pid}/status").read_text():
        assert tracer.poll() is None
        assert time.monotonic() < until
        time.sleep(0.001)
    yield
    tracer.wait(timeout=30)


def assert_sound(site: Site, versions: Collection[str], *, where: str = "") -> str:
    """I1, I4, I5, I6, and of I8 the proxy's part; returns the version that serves."""
    status, version = site.visit()
    assert (status, version in versions) == (200, True), f"{where}: {status} {version}, expected {versions}"
    seen = observe_status(site.layout)
    running = [report.view.slot for report in seen.slots if report.view.status is SlotStatus.RUNNING]
    assert running == [seen.route.slot], where
    assert read_route_at_rest(site) is seen.route.slot, where
    assert (seen.interrupted, seen.running_operation) == (False, None), where
    assert AppLock(site.layout.lock).holder() is None, where
    assert list_litter(site) == [], where
    return version


def read_route_at_rest(site: Site) -> Slot | None:
    """What the proxy would route to if it were started now: the driver's word when it finds nobody to ask."""
    settings = read_in_force(site.layout)
    assert settings is not None
    nobody = replace(settings, proxy=replace(settings.proxy, listen="127.0.0.1:1"))
    return make_proxy(site.layout, nobody).observe().slot


def list_litter(site: Site) -> list[Path]:
    """Temporary names that nobody needs. Half a release may stay: it is worthless by name, and the next one sweeps."""
    found = [*site.layout.home.rglob("*.partial"), *site.conf.rglob("*.partial"), *site.layout.pointer.glob(".next*")]
    return [path for path in found if path.parent != site.layout.releases]


SHORT = "60ms"


@contextlib.contextmanager
def open_site_to_kill(base: Path, **knobs: Any) -> Iterator[Site]:
    """Its windows are short: what nobody dies in is not waited for."""
    with open_site(base, **knobs) as site:
        write_window(site, SHORT)
        yield site


@contextlib.contextmanager
def window(site: Site, length: str) -> Iterator[None]:
    """Of the deploys inside. One that dies in its window is given a long one: on a busy machine a short one is over
    before it is looked into."""
    write_window(site, length)
    try:
        yield
    finally:
        write_window(site, SHORT)


def write_window(site: Site, length: str) -> None:
    site.config.write_text(
        re.sub(r'^window = ".*"', f'window = "{length}"', site.config.read_text(), flags=re.MULTILINE)
    )


def take_back(site: Site, version: str, *, env: Mapping[str, str]) -> Done:
    """A deploy that is aborted in its window by SIGTERM."""
    site.write_version(version)
    with window(site, "60s"):
        deploying = site.start_celadon("deploy", "--json", env=env)
        for line in deploying.stdout or ():
            if "window_opened" in line:
                break
        holder = AppLock(site.layout.lock).holder()
        assert holder is not None
        os.kill(holder.pid, signal.SIGTERM)
        output, _ = deploying.communicate(timeout=60)
    return Done(deploying.returncode, output)
