"""The bench's distance: as a far server's, not as a proxy's in between."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from bench.proxies.distance import run_relay

ROUND_TRIP_S = 0.05


@dataclass
class Far:
    """Two ends; `opened_at` is before the client's connect."""

    client: socket.socket
    server: socket.socket
    opened_at: float


@pytest.fixture
def far() -> Iterator[Far]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        run_relay(listener.getsockname()[1], round_trip_ms=ROUND_TRIP_S * 1000) as port,
    ):
        listener.accept()[0].close()  # whoever waited for the relay to listen
        opened_at = time.monotonic()
        client = socket.create_connection(("127.0.0.1", port), timeout=5)
        server, _ = listener.accept()
        server.settimeout(5)
        yield Far(client, server, opened_at)
        client.close()
        server.close()


def test_an_answer_takes_the_round_trip_and_the_first_one_the_handshake_too(far: Far) -> None:
    """A fresh connection costs two round trips, a kept one a single one."""

    def answer() -> None:
        while received := far.server.recv(100):
            far.server.sendall(received)

    echoing = threading.Thread(target=answer)
    echoing.start()
    answered_at = []
    for _ in range(2):
        far.client.sendall(b"x")
        assert far.client.recv(1) == b"x"
        answered_at.append(time.monotonic())
    far.client.shutdown(socket.SHUT_WR)
    echoing.join()
    assert answered_at[0] - far.opened_at >= 2 * ROUND_TRIP_S
    assert answered_at[1] - answered_at[0] >= ROUND_TRIP_S


def test_who_says_no_more_still_hears(far: Far) -> None:
    """A half-closed connection stays half-closed."""
    far.client.sendall(b"all")
    far.client.shutdown(socket.SHUT_WR)
    assert far.server.recv(100) == b"all"
    assert far.server.recv(100) == b""
    far.server.sendall(b"heard")
    assert far.client.recv(100) == b"heard"
    far.server.close()
    assert far.client.recv(100) == b""


def test_a_reset_arrives_as_one(far: Far) -> None:
    """Half a round trip later."""
    far.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    began = time.monotonic()
    far.server.close()
    with pytest.raises(ConnectionResetError):
        far.client.recv(100)
    assert time.monotonic() - began >= ROUND_TRIP_S / 2


def test_a_request_to_a_connection_that_was_closed_meanwhile_is_answered_by_its_end(far: Far) -> None:
    """The race that a reload makes: the request is on its way when the end comes."""
    far.server.close()
    far.client.sendall(b"request")
    assert far.client.recv(100) == b""
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        send_until_refused(far.client)


def send_until_refused(client: socket.socket) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        client.sendall(b"more")
        time.sleep(0.001)


def test_nobody_there_is_a_reset() -> None:
    """The relay accepts at once, so a refusal can only come later."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with (
            run_relay(closed.getsockname()[1], round_trip_ms=20) as port,
            socket.create_connection(("127.0.0.1", port), timeout=5) as client,
            pytest.raises(ConnectionResetError),
        ):
            client.recv(1)
