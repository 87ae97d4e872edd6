"""A running nginx as its owner wrote it, before an app that answers with what it was told."""

import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from celadon.host.layout import Layout
from celadon.model.address import TcpAddress
from celadon.model.names import AppName
from celadon.model.settings import ProxyKind, ProxySettings, Settings, SourceSettings, SwitchWay, WebSettings
from tests.contract.slot_server import free_port
from tests.contract.visitors import Visitors

NGINX = "/usr/sbin/nginx"


class TellingApp:
    """Answers with the request line and the headers that it got, in the order of their names, and with the redirects
    of an app that believes its Host."""

    def __init__(self) -> None:
        self.port = free_port()

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                told = sorted(f"{name}: {value}" for name, value in self.headers.items() if "celadon" not in value)
                body = "\n".join([self.requestline, *told, "blue"]).encode()
                self.send_response(302 if "moved" in self.path else 200)
                self.send_header("Location", f"http://{self.headers['Host']}/there")
                self.send_header("Refresh", f"5; url=http://{self.headers['Host']}/again")
                self.send_header("X-App", "telling")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return ""

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
                pass

        self._server: socketserver.BaseServer = ThreadingHTTPServer(("127.0.0.1", self.port), Answer)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class OwnersNginx:
    """`write` makes the text of sites/shop.conf of the site's and the app's port."""

    def __init__(self, base: Path, write: Callable[[int, int], str]) -> None:
        self.base = base
        self.blue, self.green = TellingApp(), TellingApp()
        self.port = free_port()
        self.main, self.site = base / "conf/nginx.conf", base / "conf/sites/shop.conf"
        self.site.parent.mkdir(parents=True)
        self.layout = Layout(base / "state", AppName("shop"))
        self.layout.home.mkdir(parents=True)
        self.site.write_text(write(self.port, self.blue.port))
        temporary = " ".join(f"{name}_temp_path {base}/{name};" for name in ("fastcgi", "uwsgi", "scgi", "proxy"))
        self.main.write_text(
            f"user root; worker_processes 2; pid {base}/nginx.pid; error_log {base}/error.log;\n"
            "events { worker_connections 512; }\n"
            "http {\n"
            f"    client_body_temp_path {base}/body; {temporary}\n"
            f"    access_log {base}/own.log;\n"
            "    include sites/*.conf;\n"
            "}\n"
        )
        self.start()

    def settings_for(self, way: SwitchWay, *, look_path: str = "/") -> Settings:
        proxy = ProxySettings(
            kind=ProxyKind.NGINX,
            site=f"http://shop.example:{self.port}",
            listen=f"127.0.0.1:{self.port}",
            switch=way,
            directory=str(self.base / "conf/celadon"),
            config=str(self.main),
            binary=NGINX,
            look_path=look_path,
            seen_timeout_s=5.0,
        )
        slots = TcpAddress(port=self.blue.port), TcpAddress(port=self.green.port)
        web = WebSettings(command="app", blue=slots[0], green=slots[1])
        return Settings(app=self.layout.app, source=SourceSettings(path="/srv"), web=web, proxy=proxy)

    def start(self) -> None:
        argv = [NGINX, "-c", str(self.main), "-p", str(self.base), "-g", "daemon off;"]
        self._process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.005)
        raise TimeoutError("nginx did not start")

    def answer(self, path: str, *headers: str, host: str = "shop.example") -> bytes:
        """Every byte of an answer but those of its Date."""
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", "User-Agent: visitor", *headers, "", ""]
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as stream:
            stream.sendall("\r\n".join(lines).encode())
            answer = b"".join(iter(lambda: stream.recv(65536), b""))
        return b"\r\n".join(line for line in answer.split(b"\r\n") if not line.startswith(b"Date: "))

    def visitors(self) -> Visitors:
        return Visitors(self.port)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)
        self.blue.close()
        self.green.close()
