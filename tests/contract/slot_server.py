"""Two slots without an app: each answers with its name."""

import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from celadon.model.address import Address, TcpAddress
from celadon.model.names import Slot


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class SlotServer:
    """Answers with the slot's name; `status` may be changed meanwhile; `headers` are the names that it was sent."""

    def __init__(self, slot: Slot, *, address: Address) -> None:
        self.address = address
        self.status = 200
        self.headers: set[str] = set()
        outer = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # head and body are two writes: 40 ms a request behind a kept connection; a Unix socket refuses the option
            disable_nagle_algorithm = isinstance(address, TcpAddress)

            def do_GET(self) -> None:
                outer.headers |= {name.lower() for name in self.headers}
                body = slot.value.encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return ""

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
                pass

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
