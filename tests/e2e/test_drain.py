"""The end of an old slot behind a real nginx: what is told of its connections is what their clients saw."""

import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest

from celadon.app.inforce import require_in_force
from celadon.model.names import Slot
from tests.e2e.site import Done, Site, open_site
from tests.e2e.site_proxies import NGINX
from tests.e2e.test_deploy import STREAM_BYTES, UPGRADE, await_event

GOING_AWAY = b"\x88\x02\x03\xe9"
CLOSE = b"\x88\x80\0\0\0\0"
ABRUPT = '[web.env]\nSHOP_BROKEN = "abrupt"'
"""The app drops what is in flight when it is told to stop."""
PING = b"\x81\x82\0\0\0\0hi"

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]


def ask(port: int, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(request)
    return connection


def ask_slot(site: Site, request: bytes) -> socket.socket:
    """As a monitor does, which goes round the proxy."""
    address = str(require_in_force(site.layout).web.address(Slot.BLUE))
    return ask(int(address.rpartition(":")[2]), request)


def keep_alive(site: Site) -> socket.socket:
    connection = ask_slot(site, b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
    assert b" 200 " in connection.recv(65536)
    return connection


def websocket(site: Site) -> socket.socket:
    connection = ask(site.port, UPGRADE)
    assert b" 101 " in connection.recv(65536)
    return connection


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(OSError):
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    connection.close()
    return received


def deploy_and_tell(site: Site) -> tuple[bytes, dict[str, Any]]:
    """v2, and a download of two seconds that begins in the window. What it got, and the end of the slot that v2 takes
    over from."""
    site.write_version("v2")
    deploying = site.start_celadon("deploy", "--json")
    await_event(deploying, "window_opened")
    received = read_to_end(ask_slot(site, b"GET /stream HTTP/1.1\r\nHost: shop.example\r\n\r\n"))
    output, _ = deploying.communicate(timeout=60)
    assert deploying.returncode == 0, output
    return received.partition(b"\r\n\r\n")[2], Done(0, output).events("slot_stopped")[-1]


def test_an_idle_connection_of_a_monitor_does_not_hold_up_a_deploy(tmp_path: Path) -> None:
    """It held up each one until drain.timeout. A WebSocket gets the time that its policy gives it, a download all it
    needs; what was cut is told by kind."""
    with open_site(tmp_path, extra=f'idle = "close-after 1s"\nstreams = "close-after 1s"\n{ABRUPT}') as site:
        monitor, talking = keep_alive(site), websocket(site)
        body, stopped = deploy_and_tell(site)
        assert read_to_end(monitor) == b""
        assert read_to_end(talking) == b""
    assert len(body) == STREAM_BYTES
    assert stopped["left"] == {"requests_count": 0, "idle_count": 1, "streams_count": 1}
    assert (stopped["cut_count"], stopped["signalled_count"]) == (2, 0)
    assert 1.0 < stopped["duration_s"] < 3.0


def test_a_request_that_gets_no_more_time_is_cut_and_told_as_one(tmp_path: Path) -> None:
    """Its client sees half a body."""
    with open_site(tmp_path, extra=f'requests = "close-after 100ms"\n{ABRUPT}') as site:
        body, stopped = deploy_and_tell(site)
    assert len(body) < STREAM_BYTES
    assert stopped["left"] == {"requests_count": 1, "idle_count": 0, "streams_count": 0}


def test_websockets_are_closed_by_an_app_that_is_told_to(tmp_path: Path) -> None:
    """At once, by a frame that says so; nothing is told as cut. The line says it in words."""
    with open_site(tmp_path, extra='streams = "signal"') as site:
        talking, silent = websocket(site), websocket(site)
        site.write_version("v2")
        deploying = site.start_celadon("deploy")
        farewells = [_converse(talking), _converse(silent, ping=b"")]
        output, _ = deploying.communicate(timeout=60)
    assert farewells == [GOING_AWAY, GOING_AWAY]
    assert deploying.returncode == 0, output
    assert "blue drains: 2 connections open (2 streams)" in output, output
    assert "; 0 connections cut; 2 streams left to the app's own closing" in output, output


def _converse(websocket: socket.socket, *, ping: bytes = PING) -> bytes:
    """The other side's last word, which is answered. A ping whenever nothing was said for a tenth of a second."""
    websocket.settimeout(0.1)
    heard = b""
    while not heard.endswith(GOING_AWAY):
        try:
            said = websocket.recv(65536)
        except TimeoutError:
            websocket.sendall(ping)
            continue
        if not said:
            return heard[-len(GOING_AWAY) :]
        heard += said
    websocket.sendall(CLOSE)
    websocket.close()
    return GOING_AWAY
