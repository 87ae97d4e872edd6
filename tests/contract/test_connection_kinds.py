"""Real sockets behind a real nginx, and beside it: what the kernel tells of each is enough to know its kind."""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from celadon.deploy.kinds import Watch
from celadon.host.sockets import KernelSockets
from celadon.model.address import SocketAddress, TcpAddress
from celadon.model.connections import Connection, ConnectionKind, Peer
from tests.contract.nginx_server import NGINX
from tests.contract.slot_server import free_port

LARGE = 64 << 20
"""More than all buffers on the way together."""
REQUEST, IDLE, STREAM = ConnectionKind.REQUEST, ConnectionKind.IDLE, ConnectionKind.STREAM

pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")


class App:
    """Answers at once, never, without an end, or as a WebSocket would, by the path. Knows its connections by the port
    of the other end."""

    def __init__(self, *, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family)
        self.address = TcpAddress(port=self.listener.getsockname()[1], host=host)
        self.paths: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted, contextlib.suppress(OSError):
            while head := accepted.recv(65536):
                path = head.split(b" ")[1].decode()
                self.paths.append(path)
                match path:
                    case "/page":
                        accepted.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok")
                    case "/download":
                        accepted.sendall(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % LARGE + bytes(LARGE))
                    case "/ws":
                        accepted.sendall(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                        while said := accepted.recv(65536):
                            accepted.sendall(said)
                    case _:
                        while accepted.recv(65536):
                            pass

    def await_paths(self, *paths: str) -> None:
        deadline = time.monotonic() + 10
        while sorted(self.paths) != sorted(paths):
            assert time.monotonic() < deadline, self.paths
            time.sleep(0.01)


@pytest.fixture(params=["127.0.0.1", "::1"])
def app(request: pytest.FixtureRequest) -> Iterator[App]:
    served = App(host=request.param)
    yield served
    served.listener.close()


@pytest.fixture
def proxy(app: App, tmp_path: Path) -> Iterator[TcpAddress]:
    """nginx before the app, without upstream keep-alive or buffers, as a WebSocket or a large body needs it."""
    address = TcpAddress(port=free_port())
    host = f"[{app.address.host}]" if ":" in app.address.host else app.address.host
    (tmp_path / "nginx.conf").write_text(f"""
daemon off; pid {tmp_path}/pid; error_log stderr; worker_processes 1;
events {{}}
http {{
  access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
  fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
  server {{
    listen 127.0.0.1:{address.port};
    client_max_body_size 0;
    location / {{
      proxy_pass http://{host}:{app.address.port}; proxy_http_version 1.1; proxy_buffering off;
      proxy_request_buffering off; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;
    }}
  }}
}}
""")
    process = subprocess.Popen(
        [NGINX, "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", "stderr"], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 10
    while not KernelSockets().listening_pids(address):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield address
    process.terminate()
    process.wait(timeout=10)


def ask(at: TcpAddress, path: str, *, more: str = "", body: bytes = b"") -> socket.socket:
    connection = socket.create_connection((at.host, at.port), timeout=10)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: shop.example\r\n{more}\r\n".encode() + body)
    return connection


def await_kinds(
    sockets: KernelSockets, app: App, wanted: dict[str, tuple[Peer, ConnectionKind]], *, pinging: socket.socket
) -> None:
    """Looked at as a drain does, from the instant on at which the route would have left."""
    watch, left_at_s = Watch(pooled_s=0.0), time.monotonic()
    deadline = left_at_s + 20
    expected = sorted(f"{peer} {kind}" for peer, kind in wanted.values())
    while True:
        pinging.sendall(b"ping")
        assert pinging.recv(16) == b"ping"
        judged = watch.judge(sockets.connections(app.address), left_s=time.monotonic() - left_at_s)
        found = sorted(f"{each.connection.peer} {each.kind}" for each in judged)
        if found == expected:
            return
        assert time.monotonic() < deadline, f"{found}, expected {wanted}"
        time.sleep(0.2)


def test_every_kind_is_told_behind_nginx_and_beside_it(app: App, proxy: TcpAddress) -> None:
    """Within seconds; a connection of somebody else's is told from the proxy's."""
    sockets = KernelSockets(proxy=proxy)
    upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n"
    with contextlib.ExitStack() as opened:

        def ask_for(at: TcpAddress, path: str, *, more: str = "", body: bytes = b"") -> socket.socket:
            return opened.enter_context(ask(at, path, more=more, body=body))

        ask_for(app.address, "/page").recv(100)
        ask_for(proxy, "/long")
        ask_for(proxy, "/download")
        ask_for(proxy, "/upload", more=f"Content-Length: {LARGE}\r\n", body=bytes(1 << 16))
        ask_for(app.address, "/long-too")
        silent, pinging = (ask_for(proxy, "/ws", more=upgrade) for _ in range(2))
        assert b" 101 " in silent.recv(1000)
        assert b" 101 " in pinging.recv(1000)
        app.await_paths("/page", "/long", "/download", "/upload", "/long-too", "/ws", "/ws")
        wanted = {
            "page": (Peer.OTHER, IDLE),
            "long": (Peer.PROXY, REQUEST),
            "download": (Peer.PROXY, REQUEST),
            "upload": (Peer.PROXY, REQUEST),
            "long, of somebody else": (Peer.OTHER, REQUEST),
            "silent WebSocket": (Peer.PROXY, STREAM),
            "WebSocket that pings": (Peer.PROXY, STREAM),
        }
        await_kinds(sockets, app, wanted, pinging=pinging)


def test_the_kernels_numbers_are_those_of_the_connection(app: App) -> None:
    """Bytes both ways, unread and unconfirmed ones, and how long ago."""
    sockets = KernelSockets()
    with ask(app.address, "/page") as client:
        client.recv(100)
        asked_bytes = len(b"GET /page HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        found = sockets.connections(app.address)[0]
        assert (found.received_bytes, found.unread_bytes, found.peer) == (asked_bytes, 0, Peer.UNKNOWN)
        assert (found.sent_bytes, found.unsent_bytes) == (len(b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok"), 0)
        client.sendall(b"GET /download HTTP/1.1\r\n\r\n")
        later = await_connection(sockets, app, lambda each: each.unsent_bytes > 0)
        assert later.id == found.id
        assert later.unsaid_s is not None
        assert later.unsaid_s < 1.0
    deadline = time.monotonic() + 10
    while sockets.connections(app.address):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def await_connection(sockets: KernelSockets, app: App, is_wanted: Callable[[Connection], bool]) -> Connection:
    deadline = time.monotonic() + 10
    while not is_wanted(found := sockets.connections(app.address)[0]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_what_the_app_has_closed_and_the_client_has_is_not_told() -> None:
    """Nothing is lost with the app any more, though the client keeps its end open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = TcpAddress(port=listener.getsockname()[1])
        with socket.create_connection((address.host, address.port)) as client:
            accepted, _ = listener.accept()
            accepted.sendall(b"bye")
            accepted.close()
            assert client.recv(10) == b"bye"
            deadline = time.monotonic() + 10
            while KernelSockets().connections(address):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert KernelSockets().connections_count(address) == 1


def test_of_a_unix_socket_the_kernel_tells_no_times(tmp_path: Path) -> None:
    """So whatever is open there is a request, for as long as it is."""
    address = SocketAddress(str(tmp_path / "app.sock"))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(address.path)
        listener.listen()
        client.connect(address.path)
        accepted, _ = listener.accept()
        found = KernelSockets().connections(address)
        assert [judged.kind for judged in Watch(pooled_s=0.0).judge(found, left_s=1e6)] == [REQUEST]
        accepted.close()
        assert KernelSockets().connections(address) == []
