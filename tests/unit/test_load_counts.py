"""What the bench's own load says of a server that misbehaves on purpose: figures are worth what their counter is."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from bench.load.client import Load, Tally

ANSWER = b"HTTP/1.1 200 OK\r\nX-Version: v1\r\nContent-Length: 2\r\n\r\nok"
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

Script = Callable[[socket.socket, int], None]
"""What the server does with one connection; they are numbered from 0."""


class Server:
    """`requests_count`: heads that were read by `read_request`."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        number = 0
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            self._script(stream, number)
            number += 1

    def close(self) -> None:
        self._listener.close()


@contextmanager
def serving(script: Script) -> Iterator[int]:
    server = Server(script)
    try:
        yield server.port
    finally:
        server.close()


def read_request(stream: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received and (more := stream.recv(65536)):
        received += more
    return received


def load(port: int, *, limit: int = 0, think_s: float = 0.0, **counts: int) -> Tally:
    """Until `limit` requests; without, for the first part of a second."""

    async def run() -> Tally:
        chosen = {"keepalive": 0, "oneshot": 0, "posts": 0, "websockets": 0, "streams": 0} | counts
        running = Load("127.0.0.1", port, site="shop.example", think_s=think_s, limit=limit)
        asyncio.get_running_loop().call_later(20.0 if limit else 0.3, running.stop.set)
        return await running.run(**chosen)

    return asyncio.run(run())


def answer_then(last: Callable[[socket.socket], None]) -> Script:
    """One good answer, then what `last` does with the second request; later connections are served."""

    def script(stream: socket.socket, number: int) -> None:
        with stream:
            read_request(stream)
            stream.sendall(ANSWER)
            if number == 0:
                read_request(stream)
                last(stream)
                return
            while read_request(stream):
                stream.sendall(ANSWER)

    return script


def test_a_kept_connection_that_is_closed_under_a_request_is_closed_and_not_failed() -> None:
    """A browser repeats that one."""
    with serving(answer_then(lambda _: None)) as port:
        tally = load(port, keepalive=1, limit=10)
    assert (tally.closed, tally.failed, tally.idle_closed, tally.requests) == (1, 0, 0, 10)


@pytest.mark.parametrize("some", [b"HTTP/1.1 200 OK\r\nConte", ANSWER[:-1]])
def test_an_answer_that_breaks_off_is_failed_on_a_kept_connection_too(some: bytes) -> None:
    """Nobody repeats a request whose answer has begun."""
    with serving(answer_then(lambda stream: stream.sendall(some))) as port:
        tally = load(port, keepalive=1, limit=10)
    assert (tally.closed, tally.failed, tally.requests) == (0, 1, 10)


def test_a_connection_that_is_closed_between_two_requests_is_counted_apart() -> None:
    """Nobody notices: the next request goes to a new one."""

    def script(stream: socket.socket, number: int) -> None:
        with stream:
            read_request(stream)
            stream.sendall(ANSWER)

    with serving(script) as port:
        tally = load(port, keepalive=1, think_s=0.02, limit=5)
    assert (tally.closed, tally.failed, tally.idle_closed, tally.requests) == (0, 0, 4, 5)


@pytest.mark.parametrize("kind", ["keepalive", "oneshot"])
@pytest.mark.parametrize("sent", [b"", ANSWER[:30], ANSWER[:-1], b"nonsense\r\n\r\n"])
def test_a_fresh_connection_without_a_whole_answer_is_failed(kind: str, sent: bytes) -> None:
    """Once for each request."""

    def script(stream: socket.socket, number: int) -> None:
        with stream:
            read_request(stream)
            stream.sendall(sent)

    with serving(script) as port:
        tally = load(port, limit=4, **{kind: 1})
    assert (tally.failed, tally.closed, tally.requests) == (4, 0, 4)


@pytest.mark.parametrize("kind", ["keepalive", "oneshot", "posts"])
def test_a_refused_connection_is_failed_once_and_tried_no_second_time(kind: str) -> None:
    """A server that is there a moment later hides nothing."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        tally = load(closed.getsockname()[1], **{kind: 1})
    assert tally.failed == tally.requests > 0
    assert set(tally.faults) == {"failed: connect: ConnectionRefusedError"}


def test_an_error_status_is_failed_and_a_write_is_acknowledged_by_success_only() -> None:
    """Each request once, whatever came of it."""

    def script(stream: socket.socket, number: int) -> None:
        with stream:
            read_request(stream)
            stream.sendall(ANSWER if number % 2 else ANSWER.replace(b"200 OK", b"502 No").replace(b"ok", b"no"))

    with serving(script) as port:
        tally = load(port, posts=1, think_s=0.01, limit=6)
    assert (tally.failed, len(tally.acknowledged), tally.requests) == (3, 3, 6)


def test_as_many_requests_are_counted_as_the_server_was_sent() -> None:
    """On kept and on single connections."""
    seen: list[bytes] = []

    def script(stream: socket.socket, number: int) -> None:
        def serve() -> None:
            with stream:
                while request := read_request(stream):
                    seen.append(request)
                    stream.sendall(ANSWER)
                    if b"Connection: close" in request:
                        return

        threading.Thread(target=serve, daemon=True).start()

    with serving(script) as port:
        tally = load(port, keepalive=2, oneshot=2, limit=200)
    assert (tally.requests, tally.failed, tally.closed) == (len(seen), 0, 0)
    assert 200 <= tally.requests <= 204


@pytest.mark.parametrize(("last", "figure"), [(b"\x88\x02\x03\xe9", "parted"), (b"", "cut"), (b"\x81\x01x", "cut")])
def test_a_websocket_that_ends_is_parted_by_a_close_frame_and_cut_otherwise(last: bytes, figure: str) -> None:
    """A wrong echo is a broken one."""

    def script(stream: socket.socket, number: int) -> None:
        with stream:
            read_request(stream)
            stream.sendall(UPGRADED)
            stream.recv(64)
            stream.sendall(last)

    with serving(script) as port:
        tally = load(port, websockets=1)
    assert getattr(tally, figure) == tally.cut + tally.parted > 0
