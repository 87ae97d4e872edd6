"""One server with the shop on it, deployed by the `celadon` command: on this machine, or in one with systemd of its
own."""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from tests.contract.container_engines import Dockerd, open_docker, open_podman
from tests.e2e.container_site import make_container_site
from tests.e2e.machine import Machine, open_machine
from tests.e2e.site import Done, Site, go_live
from tests.e2e.test_systemd import CONFIG, prepare

from bench.jobs import worker
from bench.jobs.leftovers import count_docker, count_machine, count_plain, count_podman
from bench.load.running import RunningLoad

HANDOVERS = ("overlap", "exclusive", "after-bless")
_WORKER = """
[processes.{name}]
run = "{python} -S -E worker.py {name}"
handover = "{handover}"
quiet_signal = "SIGUSR1"
grace = "20s"
"""
_MACHINE_DATA = "var/lib/celadon/apps/shop/shared/data"
_LOAD = """\
cd /repo && rm -f /root/stop /root/tally && nohup python3 -m bench.load --address 127.0.0.1:80 --site shop.example \
--stop-file /root/stop --output /root/tally --streams 0 --websockets 0 --think-ms 5 >/dev/null 2>&1 &
"""


class Served(Struct, frozen=True, kw_only=True):
    requests_count: int
    failed_count: int


class Server(Protocol):
    """`data` is where the app's shared directory lies for who looks from here."""

    data: Path

    def deploy(self, version: str, *, broken: str = "") -> Done: ...
    def celadon(self, *words: str) -> Done: ...
    def start_load(self) -> None: ...
    def stop_load(self) -> Served: ...
    def count_what_is_there(self) -> Mapping[str, int]:
        """Of everything that a deploy may leave behind."""
        ...


def render_workers(python: str) -> str:
    return "".join(_WORKER.format(name=name, handover=name, python=python) for name in HANDOVERS)


class PlainServer:
    """Implements Server behind a private nginx. `engine` runs the containers, where there are any."""

    def __init__(self, site: Site, *, engine: str = "", daemon: Dockerd | None = None) -> None:
        self._site, self._engine, self._daemon = site, engine, daemon
        self._load: RunningLoad | None = None
        self.data = site.layout.shared / "data"

    def deploy(self, version: str, *, broken: str = "") -> Done:
        return self._site.deploy(version, broken=broken)

    def celadon(self, *words: str) -> Done:
        return self._site.celadon(*words)

    def start_load(self) -> None:
        self._load = self._site.start_load(posts=1)

    def stop_load(self) -> Served:
        assert self._load is not None
        tally = self._load.stop()
        lost_count = len(self._site.lost_orders(tally))
        return Served(requests_count=tally.requests, failed_count=tally.failed + tally.closed + lost_count)

    def count_what_is_there(self) -> Mapping[str, int]:
        own = count_plain(self._site)
        if self._daemon is not None:
            return count_docker(self._site, self._daemon) | own
        return (count_podman() if self._engine else {}) | own


class MachineServer:
    """Implements Server: units of systemd, behind Debian's nginx."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.data = machine.tree / _MACHINE_DATA
        prepare(machine)
        shutil.copy(worker.__file__, machine.tree / "srv/shop/worker.py")
        machine.write("/srv/shop/celadon.toml", CONFIG.replace('"1s"', '"400ms"') + render_workers("python3"))

    def deploy(self, version: str, *, broken: str = "") -> Done:
        self._machine.write("/srv/shop/VERSION", f"{version}\n")
        (self._machine.tree / "srv/shop/BROKEN").unlink(missing_ok=True)
        if broken:
            self._machine.write("/srv/shop/BROKEN", broken)
        return self.celadon("deploy")

    def celadon(self, *words: str) -> Done:
        done = self._machine.shell(f"cd /srv/shop && celadon {' '.join(words)}")
        return Done(done.exit_code, done.output)

    def start_load(self) -> None:
        self._machine.shell(_LOAD)

    def stop_load(self) -> Served:
        self._machine.shell("touch /root/stop; until [ -e /root/tally ]; do sleep 0.05; done", timeout_s=60)
        tally = json.loads((self._machine.tree / "root/tally").read_text())
        return Served(requests_count=tally["requests"], failed_count=tally["failed"] + tally["closed"])

    def count_what_is_there(self) -> Mapping[str, int]:
        return count_machine(self._machine)


@contextlib.contextmanager
def open_plain(base: Path) -> Iterator[Server]:
    with _live(Site(base, extra=render_workers(sys.executable))) as site:
        yield PlainServer(site)


@contextlib.contextmanager
def open_systemd(base: Path) -> Iterator[Server]:
    with open_machine(base) as machine:
        yield MachineServer(machine)


@contextlib.contextmanager
def open_in_docker(base: Path) -> Iterator[Server]:
    with open_docker() as daemon, _live(_make_site(base, program="docker")) as site:
        yield PlainServer(site, engine="docker", daemon=daemon)


@contextlib.contextmanager
def open_in_podman(base: Path) -> Iterator[Server]:
    with open_podman(), _live(_make_site(base, program="podman", network="host")) as site:
        yield PlainServer(site, engine="podman")


def _make_site(base: Path, **knobs: str) -> Site:
    site = make_container_site(base, **knobs)
    dockerfile = site.app / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("COPY app.py ", "COPY app.py worker.py "))
    site.config.write_text(site.config.read_text() + render_workers("python3"))
    return site


@contextlib.contextmanager
def _live(site: Site) -> Iterator[Site]:
    shutil.copy(worker.__file__, site.app / "worker.py")
    with go_live(site) as live:
        yield live


SERVERS = {"process": open_plain, "systemd": open_systemd, "docker": open_in_docker, "podman": open_in_podman}
