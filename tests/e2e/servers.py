"""One server with the shop on it, deployed by the `celadon` command: on this machine, or in one with systemd of its
own."""

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from bench.load.running import RunningLoad
from msgspec import Struct

from tests.contract.container_engines import Dockerd, open_compose, open_docker, open_podman
from tests.e2e.container_site import make_compose_site, make_container_site
from tests.e2e.leftovers import count_docker, count_machine, count_plain, count_podman
from tests.e2e.machine import Machine, open_machine
from tests.e2e.site import Done, Site, go_live
from tests.e2e.test_systemd import CONFIG, prepare, version_served

_MACHINE_DATA = "var/lib/celadon/apps/shop/shared/data"
_LOAD = """\
cd /repo && rm -f /root/stop /root/tally && nohup python3 -m bench.load --address 127.0.0.1:80 --site shop.example \
--stop-file /root/stop --output /root/tally --streams 0 --websockets 0 --think-ms 5 >/dev/null 2>&1 &
"""


class Settings(Struct, frozen=True, kw_only=True):
    """Of the shop: `files` beside its own or instead of them, `extra` at the end of its celadon.toml, `{python}` in it
    being that of its slots, and what is set otherwise there, by its key."""

    files: Mapping[str, str]
    extra: str = ""
    changed: Mapping[str, str] = {}

    def apply(self, config: str, *, python: str) -> str:
        for key, value in self.changed.items():
            config = re.sub(rf"^{key} = .*$", f"{key} = {value}", config, flags=re.MULTILINE)
        return config + self.extra.replace("{python}", python)


class Served(Struct, frozen=True, kw_only=True):
    requests_count: int
    failed_count: int


class Server(Protocol):
    """`data` is where the app's shared directory lies for who looks from here."""

    data: Path

    def deploy(self, version: str, *, broken: str = "") -> Done: ...
    def celadon(self, *words: str) -> Done: ...
    def version_served(self) -> str:
        """To a visitor; empty where there is no page."""
        ...

    def start_load(self) -> None: ...
    def stop_load(self) -> Served: ...
    def count_what_is_there(self) -> Mapping[str, int]:
        """Of everything that a deploy may leave behind."""
        ...


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

    def version_served(self) -> str:
        return self._site.visit()[1]

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

    def __init__(self, machine: Machine, settings: Settings) -> None:
        self._machine = machine
        self.data = machine.tree / _MACHINE_DATA
        prepare(machine)
        for name, text in settings.files.items():
            machine.write(f"/srv/shop/{name}", text)
        machine.write("/srv/shop/celadon.toml", settings.apply(CONFIG.replace('"1s"', '"400ms"'), python="python3"))

    def deploy(self, version: str, *, broken: str = "") -> Done:
        self._machine.write("/srv/shop/VERSION", f"{version}\n")
        (self._machine.tree / "srv/shop/BROKEN").unlink(missing_ok=True)
        if broken:
            self._machine.write("/srv/shop/BROKEN", broken)
        return self.celadon("deploy")

    def celadon(self, *words: str) -> Done:
        done = self._machine.shell(f"cd /srv/shop && celadon {' '.join(words)}")
        return Done(done.exit_code, done.output)

    def version_served(self) -> str:
        return version_served(self._machine)

    def start_load(self) -> None:
        self._machine.shell(_LOAD)

    def stop_load(self) -> Served:
        self._machine.shell("touch /root/stop; until [ -e /root/tally ]; do sleep 0.05; done", timeout_s=60)
        tally = json.loads((self._machine.tree / "root/tally").read_text())
        return Served(requests_count=tally["requests"], failed_count=tally["failed"] + tally["closed"])

    def count_what_is_there(self) -> Mapping[str, int]:
        return count_machine(self._machine)


@contextlib.contextmanager
def open_plain(base: Path, settings: Settings) -> Iterator[Server]:
    with _live(Site(base), settings, python=sys.executable) as site:
        yield PlainServer(site)


@contextlib.contextmanager
def open_systemd(base: Path, settings: Settings) -> Iterator[Server]:
    with open_machine(base) as machine:
        server = MachineServer(machine, settings)
        first = server.deploy("v1")
        assert first.code == 0, first.output
        yield server


@contextlib.contextmanager
def open_in_docker(base: Path, settings: Settings) -> Iterator[Server]:
    with open_docker() as daemon, _live(make_container_site(base), settings, python="python3") as site:
        yield PlainServer(site, engine="docker", daemon=daemon)


@contextlib.contextmanager
def open_in_compose(base: Path, settings: Settings) -> Iterator[Server]:
    with open_compose() as daemon, _live(make_compose_site(base), settings, python="python3") as site:
        yield PlainServer(site, engine="docker", daemon=daemon)


@contextlib.contextmanager
def open_in_podman(base: Path, settings: Settings) -> Iterator[Server]:
    site = make_container_site(base, program="podman", network="host")
    with open_podman(), _live(site, settings, python="python3") as live:
        yield PlainServer(live, engine="podman")


@contextlib.contextmanager
def _live(site: Site, settings: Settings, *, python: str) -> Iterator[Site]:
    for name, text in settings.files.items():
        (site.app / name).write_text(text)
    dockerfile = site.app / "Dockerfile"
    if dockerfile.exists():
        dockerfile.write_text(
            dockerfile.read_text().replace("COPY ", f"COPY {' '.join({*settings.files} - {'app.py'})} ")
        )
    site.config.write_text(settings.apply(site.config.read_text(), python=python))
    with go_live(site) as live:
        yield live


SERVERS = {
    "process": open_plain,
    "systemd": open_systemd,
    "docker": open_in_docker,
    "podman": open_in_podman,
    "compose": open_in_compose,
}
"""By the name of what runs the app there."""
