"""A whole site of somebody's: a private proxy, the example shop, a celadon.toml, and the `celadon` command."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.load.client import Tally
from bench.load.running import RunningLoad, start_load

from celadon.app.compose import make_runner
from celadon.app.inforce import read_in_force
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.host.proxy_changes import having_turn
from celadon.model.names import AppName, Slot
from tests.e2e.site_proxies import SITE_PROXIES

REPOSITORY = Path(__file__).parents[2]
CELADON = [sys.executable, "-m", "celadon.cli.main"]
_COMMAND_TIMEOUT_S = 120.0


def free_ports(count: int) -> list[int]:
    """Below ip_local_port_range, and free at this moment: pytest workers draw from ranges of their own."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "gw0")) or 0)
    found: list[int] = []
    port = 20000 + worker * 3000 + int(time.monotonic() * 1000) % 2000
    while len(found) < count:
        port += 1
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def free_site_ports(replicas: int) -> tuple[int, int, int]:
    """The site's, and the first of each slot's, which go on from there."""
    while True:
        site, *slots = free_ports(1 + 2 * replicas)
        if slots[-1] - slots[0] == len(slots) - 1:
            return site, slots[0], slots[replicas]


def _heed_ctrl_c() -> None:
    """A shell that runs these tests in the background has had them ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Done:
    """A finished `celadon` command."""

    def __init__(self, code: int, output: str) -> None:
        self.code = code
        self.output = output

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Bodies of one kind, of a command that was run with --json."""
        bodies = [json.loads(line)["body"] for line in self.output.splitlines() if line.startswith("{")]
        return [body for body in bodies if body["event"] == kind]


class Site:
    """`proxy` and `way` are proxy.type and proxy.switch; `extra` is appended to celadon.toml. `run` says in [web] what
    runs the app: by default its command, as plain processes; `replicas` how many of it a slot has."""

    def __init__(
        self,
        base: Path,
        *,
        proxy: str = "nginx",
        way: str = "pointer",
        sockets: bool = False,
        extra: str = "",
        run: str = f'command = "{sys.executable} -S -E app.py"',
        replicas: int = 1,
    ) -> None:
        self.base = base
        self.proxy = proxy
        self.port, blue, green = free_site_ports(replicas)
        self.app = base / "shop"
        # a socket's path has at most 107 bytes, and pytest's directories are deep
        self.state = Path(tempfile.mkdtemp(prefix="celadon-"))
        self._proxy = SITE_PROXIES[proxy](base, port=self.port, sockets=self.state)
        self._process: subprocess.Popen[bytes] | None = None
        self._proxy.directory.mkdir(parents=True)
        self.state.chmod(0o755)
        shutil.copytree(REPOSITORY / "examples" / "shop", self.app)
        addresses = "sockets = true" if sockets else f"ports = [{blue}, {green}]"
        addresses += f"\nreplicas = {replicas}" if replicas > 1 else ""
        self._write_config(way, f"{addresses}\n{run}", extra)
        self._proxy.write_first()
        base.chmod(0o755)
        for parent in base.parents:
            if parent != Path("/"):
                with contextlib.suppress(PermissionError):
                    parent.chmod(parent.stat().st_mode | 0o011)

    def _write_config(self, way: str, web: str, extra: str) -> None:
        (self.app / "celadon.toml").write_text(
            f"""\
app = "shop"
shared = ["data"]
[source]
exclude = ["celadon.toml", "__pycache__"]
[web]
{web}
[readiness]
path = "/health"
interval = "50ms"
successes = 2
deadline = "5s"
[proxy]
type = "{self.proxy}"
switch = "{way}"
site = "http://shop.example"
listen = "127.0.0.1:{self.port}"
directory = "{self._proxy.directory}"
config = "{self.main}"
binary = "{self._proxy.binary}"
{f'admin = "{self._proxy.admin}"' if self._proxy.admin else ""}
[observe]
judge = "thresholds"
window = "400ms"
interval = "50ms"
min_requests = 5
max_error_rate = "5%"
[drain]
timeout = "3s"
stop_timeout = "5s"
{extra}
"""
        )

    @property
    def config(self) -> Path:
        return self.app / "celadon.toml"

    @property
    def main(self) -> Path:
        return self._proxy.main

    @property
    def own(self) -> Path:
        """Where the site's owner says where it goes."""
        return self._proxy.own

    def judge(self) -> list[str] | None:
        """The proxy's own checker of its files as they lie there."""
        return self._proxy.judge()

    def route(self) -> None:
        """The owner has the site go through celadon's route: in force with the first deploy."""
        self._proxy.write_routed()

    @property
    def conf(self) -> Path:
        return self._proxy.conf

    def start_proxy(self) -> None:
        with (self.conf / "error.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._proxy.argv(), env=os.environ | dict(self._proxy.variables), stdout=log, stderr=log
            )
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            time.sleep(0.01)
        raise AssertionError((self.conf / "error.log").read_text())

    def stop_proxy(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    @property
    def proxy_pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def layout(self) -> Layout:
        return Layout(self.state, AppName("shop"))

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        if more:
            (self.state / "test-install").touch()
        return os.environ | {"CELADON_ROOT": str(self.state), "PYTHONPATH": str(REPOSITORY / "src")} | dict(more or {})

    def celadon(self, *words: str, env: Mapping[str, str] | None = None) -> Done:
        done = subprocess.run(
            [*CELADON, *words, "-c", str(self.config)],
            env=self.variables(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def start_celadon(self, *words: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*CELADON, *words, "-c", str(self.config)],
            env=self.variables(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_heed_ctrl_c,  # noqa: PLW1509  no threads here
        )

    def write_version(self, version: str, *, broken: str = "") -> None:
        (self.app / "VERSION").write_text(f"{version}\n")
        (self.app / "BROKEN").unlink(missing_ok=True)
        if broken:
            (self.app / "BROKEN").write_text(broken)

    def deploy(self, version: str, *, broken: str = "", env: Mapping[str, str] | None = None) -> Done:
        self.write_version(version, broken=broken)
        return self.celadon("deploy", env=env)

    def visit(self) -> tuple[int, str]:
        """Status and version, as a visitor gets them."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        version = re.search(r"(?i)X-Version: (\S+)", answer)
        return int(answer.split()[1]), version.group(1) if version else ""

    def start_load(self, **knobs: Any) -> RunningLoad:
        chosen = {"keepalive": 2, "oneshot": 1, "posts": 2, "websockets": 0, "streams": 0, "think_ms": 5.0} | knobs
        return start_load(f"127.0.0.1:{self.port}", site="shop.example", **chosen)

    def lost_orders(self, tally: Tally) -> set[str]:
        """Acknowledged ids that are not stored exactly once."""
        with sqlite3.connect(self.layout.shared / "data" / "shop.db") as database:
            stored = [row[0] for row in database.execute("SELECT id FROM orders")]
        return {order for order in tally.acknowledged if stored.count(order) != 1}

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.celadon("status", "--json").output)
        return found

    def running_slots(self) -> list[str]:
        return [slot["view"]["slot"] for slot in self.status()["slots"] if slot["view"]["status"] == "running"]

    def close(self) -> None:
        watcher = AppLock(self.layout.keeping).holder()
        if watcher is not None:
            os.kill(watcher.pid, signal.SIGKILL)
        settings = read_in_force(self.layout)
        if settings is not None:
            for slot in Slot:
                make_runner(self.layout, settings).stop(slot, grace_s=2.0)
        self.stop_proxy()
        with having_turn(self.layout):  # whoever still commits the last change has ended
            pass
        _end_apps_of(self.state)
        if self.state.is_mount():
            subprocess.run(["umount", "--lazy", self.state], check=True)
        shutil.rmtree(self.state)


def _end_apps_of(state: Path) -> None:
    """An ejected app serves on, as it should; nothing of ours knows it any more."""
    mark = f"CELADON_SLOT_DIRECTORY={state}/".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes():
                os.kill(int(environment.parent.name), signal.SIGKILL)


def end_unharmed(site: Site, load: RunningLoad) -> Tally:
    """The load: none of its requests failed, no kept connection was closed under one, and each acknowledged order is
    there once."""
    tally = load.stop()
    assert (tally.failed, dict(tally.faults), tally.closed) == (0, {}, 0)
    assert site.lost_orders(tally) == set()
    return tally


@contextlib.contextmanager
def open_site(base: Path, **knobs: Any) -> Iterator[Site]:
    """Proxy running, first release live."""
    with go_live(Site(base, **knobs)) as site:
        yield site


@contextlib.contextmanager
def go_live(site: Site) -> Iterator[Site]:
    site.start_proxy()
    site.route()
    try:
        first = site.deploy("v1")
        assert first.code == 0, first.output
        yield site
    finally:
        site.close()
