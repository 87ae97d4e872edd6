"""A private nginx with two slots behind it: own prefix, own configuration, own ports, ended by pid."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from celadon.contracts.proxy import Proxy
from celadon.drivers.proxies.nginx import NginxProxy
from celadon.host.children import read_children
from celadon.host.layout import Layout
from celadon.model.names import AppName
from celadon.model.settings import (
    ProxyKind,
    ProxySettings,
    Settings,
    SourceSettings,
    SwitchSettings,
    SwitchWay,
)
from tests.contract.slot_server import free_port
from tests.contract.slot_stage import SlotStage

NGINX = "/usr/sbin/nginx"


class NginxStage(SlotStage):
    """Implements ProxyStage, ShareStage and PreviewStage. `http` and `server` are lines of the site's owner."""

    sticky = True

    def __init__(
        self,
        base: Path,
        *,
        way: SwitchWay,
        sockets: bool = False,
        http: str = "",
        server: str = "",
        steps: tuple[int, ...] = (100,),
        preview: bool = False,
        replicas: int = 1,
    ) -> None:
        self.base = base
        self._steps = steps
        self._preview = preview
        self.reloads = way is not SwitchWay.POINTER
        self.loses = False
        self.port = free_port()
        self.conf = base / "conf"
        self.conf.mkdir(parents=True)
        self.main = self.conf / "nginx.conf"
        self.error_log = base / "error.log"
        self.layout = Layout(base / "state", AppName("shop-one"))
        self.layout.home.mkdir(parents=True)
        self.slots = self._open_slots(sockets=sockets, replicas=replicas)
        self.settings = self.settings_for(way)
        self.proxy: Proxy = NginxProxy(self.layout, self.settings)
        self.write_main(http=http, server=server, include=False)
        self.start()
        self.write_main(http=http, server=server)

    def settings_for(self, way: SwitchWay, *, seen_timeout_s: float = 8.0) -> Settings:
        web = self._web()
        proxy = ProxySettings(
            kind=ProxyKind.NGINX,
            site="http://shop.example",
            listen=f"127.0.0.1:{self.port}",
            switch=way,
            directory=str(self.conf / "celadon"),
            config=str(self.main),
            binary=NGINX,
            seen_timeout_s=seen_timeout_s,
            preview=self._preview,
        )
        source, switch = SourceSettings(path="/srv/shop"), SwitchSettings(steps=self._steps)
        return Settings(app=self.layout.app, source=source, web=web, proxy=proxy, switch=switch)

    def write_main(self, *, http: str = "", server: str = "", include: bool = True) -> None:
        https_line = f"include {self.conf}/celadon/*/http.conf;" if include else ""
        route_line = f"include {self.conf}/celadon/shop-one/route.conf;" if include else ""
        self.main.write_text(
            f"user root; worker_processes 2; pid {self.base}/nginx.pid; error_log {self.error_log};\n"
            "events { worker_connections 512; }\n"
            "http {\n"
            f"    client_body_temp_path {self.base}/body; proxy_temp_path {self.base}/proxy;\n"
            f"    fastcgi_temp_path {self.base}/f; uwsgi_temp_path {self.base}/u; scgi_temp_path {self.base}/s;\n"
            f"    {https_line}\n"
            f"    {http}\n"
            "    include sites/*.conf;\n"
            "}\n"
        )
        (self.conf / "sites").mkdir(exist_ok=True)
        (self.conf / "sites" / "shop.conf").write_text(
            "server {\n"
            f"    listen 127.0.0.1:{self.port};\n"
            "    server_name shop.example;\n"
            f"    {server}\n"
            "    location / {\n"
            f"        {route_line}\n"
            "    }\n"
            "}\n"
        )

    def start(self) -> None:
        self._process = subprocess.Popen(
            [NGINX, "-c", str(self.main), "-p", str(self.base), "-g", "daemon off;"], stderr=subprocess.DEVNULL
        )
        self._await_port()

    def _await_port(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.005)
        raise TimeoutError(self.error_log.read_text() if self.error_log.exists() else "nginx did not start")

    def make_certificate(self) -> None:
        """`cert.pem` and `key.pem` beside the main file."""
        names = [
            "-keyout",
            str(self.conf / "key.pem"),
            "-out",
            str(self.conf / "cert.pem"),
            "-subj",
            "/CN=other.example",
        ]
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        subprocess.run(["openssl", "req", "-x509", *kind, *names], check=True, capture_output=True)

    def reload_count(self) -> int:
        return self.error_log.read_text().count("signal 1 (SIGHUP) received")

    def kill(self) -> None:
        """Master and workers, without a warning."""
        workers = [*read_children(self._process.pid)]
        self._process.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=10)
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.001)
