"""A private HAProxy with two slots behind it: own directories, runtime socket and master socket, ended by pid."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from celadon.drivers.proxies.haproxy import HaproxyProxy
from celadon.drivers.proxies.haproxy_process import HaproxyProcess
from celadon.drivers.proxies.haproxy_text import NAMES_REQUESTS, render_address
from celadon.host.children import read_children
from celadon.host.layout import Layout
from celadon.model.names import AppName, Slot
from celadon.model.settings import (
    ProxyKind,
    ProxySettings,
    Settings,
    SourceSettings,
    SwitchSettings,
    SwitchWay,
)
from tests.contract.share_promises import STEPS
from tests.contract.slot_server import free_port
from tests.contract.slot_stage import SlotStage

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin") or "haproxy"


def runs(admin: str, *, port: int) -> int | None:
    """The worker that takes new connections; None before its master has come to its loop, where it hears signals, and
    lists that worker as its present one. The socket alone listens before there is a worker."""
    process = HaproxyProcess(admin)
    listed = process.ask_master("show proc", timeout_s=1.0).partition("# workers")[2].partition("#")[0]
    worker = process.read_worker_pid()
    present = {line.split()[0] for line in listed.splitlines() if line.strip()}
    return worker if str(worker) in present and process.takes_new(worker or 0, port) else None


class HaproxyStage(SlotStage):
    """Implements ProxyStage, ShareStage and PreviewStage."""

    sticky = True
    loses = False

    def __init__(self, base: Path, *, way: SwitchWay = SwitchWay.POINTER, sockets: bool = False) -> None:
        self.base = base
        self.reloads = way is SwitchWay.RELOAD
        self.port = free_port()
        self.conf = base / "conf"
        (self.conf / "celadon").mkdir(parents=True)
        self.main = self.conf / "haproxy.cfg"
        self.admin = f"{base}/a.sock"
        self.layout = Layout(base / "state", AppName("shop-one"))
        self.layout.home.mkdir(parents=True)
        self.slots = self._open_slots(sockets=sockets)
        self.settings = self.settings_for(way)
        self.proxy = HaproxyProxy(self.layout, self.settings)
        self.write_main(routed=False)
        self.start()
        self.write_main()

    def settings_for(self, way: SwitchWay, *, seen_timeout_s: float = 8.0, preview: bool = True) -> Settings:
        web = self._web()
        proxy = ProxySettings(
            kind=ProxyKind.HAPROXY,
            site="http://shop.example",
            listen=f"127.0.0.1:{self.port}",
            switch=way,
            directory=str(self.conf / "celadon"),
            config=str(self.main),
            binary=HAPROXY,
            admin=self.admin,
            seen_timeout_s=seen_timeout_s,
            preview=preview,
        )
        return Settings(
            app=self.layout.app,
            source=SourceSettings(path="/srv/shop"),
            web=web,
            proxy=proxy,
            switch=SwitchSettings(steps=STEPS),
        )

    def write_main(self, *, neighbour: str = "", routed: bool = True, log: str = "") -> None:
        """`neighbour` are other sections; `log` stands in the frontend instead of ours."""
        lines = log or "\n    ".join([*NAMES_REQUESTS, "log ring@celadon_shop-one local0"])
        site = f"{lines}\n    default_backend celadon_shop-one" if routed else "http-request return status 404"
        self.main.write_text(
            f"global\n    stats socket {self.admin} mode 600 level admin\n\n"
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n\n"
            f"frontend web\n    bind 127.0.0.1:{self.port}\n    {site}\n{neighbour}"
        )

    def write_plain(self) -> None:
        """As its owner wrote it: the running app is where blue is to be."""
        self.main.write_text(
            f"global\n    stats socket {self.admin} mode 600 level admin\n\n"
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n\n"
            f"frontend web\n    bind 127.0.0.1:{self.port}\n    default_backend app\n\n"
            f"backend app\n    server app {render_address(self.slots[Slot.BLUE].address)} check maxconn 100\n"
        )

    def start(self, *, loading: bool = True) -> None:
        """`loading` ours. Returns when a reload that is asked for at once would be carried out."""
        ours = ["-f", str(self.conf / "celadon")] if loading else []
        with (self.base / "haproxy.log").open("ab") as log:
            self._process = subprocess.Popen(
                [HAPROXY, "-W", "-f", str(self.main), *ours, "-S", f"{self.base}/m.sock"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._await(lambda: runs(self.admin, port=self.port))

    def reload_count(self) -> int:
        """Workers that the master has forked."""
        return (self.base / "haproxy.log").read_text().count("New worker")

    def reload(self) -> None:
        """By its service, and nobody of ours: returns when a new worker alone takes connections."""
        process = HaproxyProcess(self.admin)
        old = process.read_worker_pid()
        assert old is not None
        process.reload()

        def reloaded() -> bool:
            process.nudge()
            new = runs(self.admin, port=self.port)
            return new not in {old, None} and not process.takes_new(old, self.port)

        self._await(reloaded)

    def _await(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not happened():
            if time.monotonic() > deadline:
                raise TimeoutError((self.base / "haproxy.log").read_text())
            time.sleep(0.005)

    def kill(self) -> None:
        """The master and its workers at once, as a power cut would."""
        for pid in [self._process.pid, *read_children(self._process.pid)]:
            os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=20)
