"""Two slots without an app: each answers with its name."""

import contextlib
import itertools
import os
import re
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from celadon.model.address import Address, TcpAddress
from celadon.model.names import Slot

_WORKER = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "gw0")) or 0)
_PORTS = itertools.cycle(range(10000 + _WORKER * 4000 + os.getpid() % 2000, 14000 + _WORKER * 4000))


def free_port() -> int:
    """Below ip_local_port_range, where the connections of all the visitors take theirs, and of this worker alone."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a cycle has no end")


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class SlotServer:
    """Answers with the slot's name; `status` and `says`, headers of its answers, may be changed meanwhile; `headers`
    are the names that it was sent, `asked_count` about how many requests. An upgraded connection gives each line back
    behind the slot's name; `/stream` says the name until `ended` is set."""

    def __init__(self, slot: Slot, *, address: Address) -> None:
        self.slot = slot
        self.address = address
        self.status = 200
        self.says: dict[str, str] = {}
        self.headers: set[str] = set()
        self.asked_count = 0
        self.ended = threading.Event()
        outer = self

        class Answer(_Answer):
            server_of = outer
            # head and body are two writes: 40 ms a request behind a kept connection; a Unix socket refuses the option
            disable_nagle_algorithm = isinstance(address, TcpAddress)

        self._server: socketserver.BaseServer
        if isinstance(address, TcpAddress):
            self._server = ThreadingHTTPServer((address.host, address.port), Answer)
        else:
            self._server = _UnixServer(address.path, Answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: SlotServer

    def do_GET(self) -> None:
        self.server_of.asked_count += 1
        self.server_of.headers |= {name.lower() for name in self.headers}
        if "Upgrade" in self.headers:
            self._echo()
        elif self.path == "/stream":
            self._stream()
        else:
            self._answer()

    def _answer(self) -> None:
        body = self.server_of.slot.value.encode()
        self.send_response(self.server_of.status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.server_of.says.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _echo(self) -> None:
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while line := self.rfile.readline():
            self.wfile.write(self.server_of.slot.value.encode() + b" " + line)
        self.close_connection = True

    def _stream(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        body = self.server_of.slot.value.encode()
        while not self.server_of.ended.wait(0.01):
            self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def address_string(self) -> str:
        return ""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        pass
