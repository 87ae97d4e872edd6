"""Two apps behind one nginx, each with two slots, a server and a driver of its own."""

import subprocess
import time
from pathlib import Path

from celadon.drivers.proxies.nginx import NginxProxy
from celadon.host.layout import Layout
from celadon.host.look_http import is_refused, parse_look_target
from celadon.model.address import TcpAddress
from celadon.model.names import AppName, Slot
from celadon.model.settings import ProxyKind, ProxySettings, Settings, SourceSettings, SwitchWay, WebSettings
from tests.contract.slot_server import SlotServer, free_port
from tests.contract.visitors import Visitors

NGINX = "/usr/sbin/nginx"
APPS = (AppName("shop"), AppName("blog"))


class NginxPair:
    def __init__(self, base: Path, *, way: SwitchWay) -> None:
        self.base = base
        self.way = way
        self.port = free_port()
        self.main = base / "nginx.conf"
        self.directory = base / "celadon"
        self.slots = {app: [SlotServer(slot, address=TcpAddress(port=free_port())) for slot in Slot] for app in APPS}
        for app in APPS:
            self.layout(app).home.mkdir(parents=True)
        self.write_main(include=False)
        self._process = subprocess.Popen(
            [NGINX, "-c", str(self.main), "-p", str(base), "-g", "daemon off;"], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while is_refused(parse_look_target(site="http://shop.example", listen=f"127.0.0.1:{self.port}", path="/")):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def layout(self, app: AppName) -> Layout:
        return Layout(self.base / "state", app)

    def driver(self, app: AppName) -> NginxProxy:
        """One as each operation makes its own."""
        blue, green = (TcpAddress(port=int(str(slot.address).rpartition(":")[2])) for slot in self.slots[app])
        proxy = ProxySettings(
            kind=ProxyKind.NGINX,
            site=f"http://{app}.example",
            listen=f"127.0.0.1:{self.port}",
            switch=self.way,
            directory=str(self.directory),
            config=str(self.main),
            binary=NGINX,
            seen_timeout_s=20.0,
        )
        web = WebSettings(command="app", blue=blue, green=green)
        return NginxProxy(self.layout(app), Settings(app=app, source=SourceSettings(path="/srv"), web=web, proxy=proxy))

    def write_main(self, *, include: bool = True, more: str = "") -> None:
        temporary = " ".join(f"{name}_temp_path {self.base}/{name};" for name in ("fastcgi", "uwsgi", "scgi", "proxy"))
        http = f"include {self.directory}/*/http.conf;" if include else ""
        servers = "".join(
            f"    server {{ listen 127.0.0.1:{self.port}; server_name {app}.example;\n"
            f"        location / {{ {f'include {self.directory}/{app}/route.conf*;' if include else ''} }} }}\n"
            for app in APPS
        )
        self.main.write_text(
            f"user root; worker_processes 2; pid {self.base}/nginx.pid; error_log {self.base}/error.log;\n"
            "events { worker_connections 512; }\n"
            f"http {{\n    client_body_temp_path {self.base}/body; {temporary}\n"
            f"    access_log off;\n    {http}\n{servers}    {more}\n}}\n"
        )

    def visitors(self, app: AppName) -> Visitors:
        return Visitors(self.port, host=f"{app}.example")

    def texts(self, app: AppName) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.directory / app).iterdir()}

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)
        for slots in self.slots.values():
            for slot in slots:
                slot.close()
