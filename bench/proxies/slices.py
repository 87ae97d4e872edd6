"""Clients that ask for a slice of requests at a time, so that sites take turns every few hundredths of a second.

A busy neighbour on the machine then hits all sites of a turn alike, which it does not where each site's turn takes
seconds.
"""

import re
import socket
from collections.abc import Callable, Iterator

from bench.proxies.stand import StandError

_CONNECTIONS = 8
_ANSWER_LIMIT_BYTES = 65536
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)

Slice = Callable[[int], int]
"""Of at least so many requests; how many it made."""


class KeepAlive:
    """Connections that are kept from slice to slice, and opened anew where the site ends one after its answer."""

    def __init__(self, port: int, *, site: str, version: str) -> None:
        self._address = ("127.0.0.1", port)
        self._request = f"GET / HTTP/1.1\r\nHost: {site}\r\n\r\n".encode()
        self._expected = f"x-version: {version}".encode()
        self._streams = [socket.create_connection(self._address, timeout=10) for _ in range(_CONNECTIONS)]

    def __call__(self, count: int) -> int:
        turns = -(-count // _CONNECTIONS)
        for _ in range(turns):
            for stream in self._streams:
                stream.sendall(self._request)
            self._streams = [self._receive(stream) for stream in self._streams]
        return turns * _CONNECTIONS

    def close(self) -> None:
        for stream in self._streams:
            stream.close()

    def _receive(self, stream: socket.socket) -> socket.socket:
        answer = b""
        while not _is_whole(answer):
            received = stream.recv(_ANSWER_LIMIT_BYTES)
            if not received:
                raise StandError(f"a kept connection was closed under a request: {answer!r}")
            answer += received
        _check(answer, self._expected)
        if not _CLOSES.search(answer):
            return stream
        stream.close()
        return socket.create_connection(self._address, timeout=10)


class OneShot:
    """A fresh connection for each request."""

    def __init__(self, port: int, *, site: str, version: str) -> None:
        self._address = ("127.0.0.1", port)
        self._request = f"GET / HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n".encode()
        self._expected = f"x-version: {version}".encode()

    def __call__(self, count: int) -> int:
        turns = -(-count // _CONNECTIONS)
        for _ in range(turns):
            streams = [*self._open()]
            for stream in streams:
                _check(b"".join(iter(lambda: stream.recv(_ANSWER_LIMIT_BYTES), b"")), self._expected)  # noqa: B023
                stream.close()
        return turns * _CONNECTIONS

    def close(self) -> None:
        """Nothing is kept."""

    def _open(self) -> Iterator[socket.socket]:
        for _ in range(_CONNECTIONS):
            stream = socket.create_connection(self._address, timeout=10)
            stream.sendall(self._request)
            yield stream


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(found) and length is not None and len(body) >= int(length[1])


def _check(answer: bytes, expected: bytes) -> None:
    if not answer.startswith(b"HTTP/1.1 200 ") or expected not in answer.lower():
        raise StandError(f"a request failed: {answer[:200]!r}")
