"""Two apps behind one HAProxy, each with two slots, a server and a driver of its own."""

import subprocess
import time
from pathlib import Path

from celadon.drivers.proxies.haproxy import HaproxyProxy
from celadon.host.layout import Layout
from celadon.model.address import TcpAddress
from celadon.model.names import AppName, Slot
from celadon.model.settings import ProxyKind, ProxySettings, Settings, SourceSettings, SwitchWay, WebSettings
from tests.contract.haproxy_server import HAPROXY, runs
from tests.contract.slot_server import SlotServer, free_port
from tests.contract.visitors import Visitors

SHOP, BLOG = APPS = (AppName("shop"), AppName("blog"))


class HaproxyPair:
    def __init__(self, base: Path, *, way: SwitchWay) -> None:
        self.base = base
        self.way = way
        self.port = free_port()
        self.main = base / "haproxy.cfg"
        self.admin, self.master = f"{base}/a.sock", f"{base}/m.sock"
        self.directory = base / "celadon"
        self.directory.mkdir()
        self.ports = {app: (free_port(), free_port()) for app in APPS}
        self.slots = [
            SlotServer(slot, address=TcpAddress(port=port))
            for ports in self.ports.values()
            for slot, port in zip(Slot, ports, strict=True)
        ]
        for app in APPS:
            self.layout(app).home.mkdir(parents=True)
        self.write_main()
        self._process = subprocess.Popen(
            [HAPROXY, "-W", "-f", str(self.main), "-f", str(self.directory), "-S", self.master],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while runs(self.admin, port=self.port) is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def layout(self, app: AppName) -> Layout:
        return Layout(self.base / "state", app)

    def settings(self, app: AppName) -> Settings:
        blue, green = self.ports[app]
        proxy = ProxySettings(
            kind=ProxyKind.HAPROXY,
            site=f"http://{app}.example",
            listen=f"127.0.0.1:{self.port}",
            switch=self.way,
            directory=str(self.directory),
            config=str(self.main),
            binary=HAPROXY,
            admin=self.admin,
            seen_timeout_s=20.0,
        )
        web = WebSettings(command="app", blue=TcpAddress(port=blue), green=TcpAddress(port=green))
        return Settings(app=app, source=SourceSettings(path="/srv"), web=web, proxy=proxy)

    def driver(self, app: AppName) -> HaproxyProxy:
        """One as each operation makes its own."""
        return HaproxyProxy(self.layout(app), self.settings(app))

    def write_main(self, *, more: str = "") -> None:
        """The backend is named by the host, so that HAProxy starts before there is one."""
        self.main.write_text(
            f"global\n    stats socket {self.admin} mode 600 level admin\n\n"
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n\n"
            f"frontend web\n    bind 127.0.0.1:{self.port}\n"
            f"    use_backend celadon_%[hdr(host),lower,field(1,.)]\n{more}"
        )

    def visitors(self, app: AppName) -> Visitors:
        return Visitors(self.port, host=f"{app}.example")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        for slot in self.slots:
            slot.close()
