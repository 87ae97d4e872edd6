"""One HTTP/1.1 answer on a connection that is not used again: for readiness and for looks, which are asked on the way
of a rollback.

Not http.client: its import (email, ssl) costs 27 ms there, a sixth of the whole way back. Not a client for anything
else: no redirects, no reuse, no proxies, no content codings.
"""

import socket
import time

from msgspec import Struct

_HEAD_LIMIT_BYTES = 64 * 1024
_BODILESS = {204, 304}


class Reply(Struct, frozen=True, kw_only=True):
    """`headers` by lower-case name, the last of a name; `set_cookies` every Set-Cookie. `body` is cut at the limit that
    was asked for."""

    status: int
    headers: dict[str, str]
    body: bytes
    set_cookies: tuple[str, ...] = ()


class BrokenReplyError(ConnectionError):
    """What came is no HTTP answer, or ends before its end."""


def exchange(
    stream: socket.socket, request: bytes, *, until_s: float, body_limit_bytes: int, bodiless: bool = False
) -> Reply:
    """Send `request`, which asks for `Connection: close`, and read the answer to its end or to the limit. `until_s` is
    a monotonic instant that bounds everything, so that an app which trickles bytes cannot hold us. `bodiless`: it was
    a HEAD. Raises OSError, TimeoutError and BrokenReplyError among them."""
    stream.settimeout(_left_s(until_s))
    stream.sendall(request)
    reading = _Reading(stream, until_s=until_s)
    status, headers = reading.read_head()
    while 100 <= status < 200 and status != 101:
        status, headers = reading.read_head()
    if bodiless or status in _BODILESS or status == 101:
        return Reply(status=status, headers=headers, body=b"", set_cookies=tuple(reading.set_cookies))
    body = reading.read_body(headers, limit=body_limit_bytes)
    return Reply(status=status, headers=headers, body=body, set_cookies=tuple(reading.set_cookies))


class _Reading:
    def __init__(self, stream: socket.socket, *, until_s: float) -> None:
        self._stream = stream
        self._until_s = until_s
        self._rest = b""
        self.set_cookies: list[str] = []

    def read_head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of one answer; 1xx ones are answers too."""
        first = self._read_line(started=False).split(None, 2)
        if len(first) < 2 or not first[0].startswith(b"HTTP/") or not _is_number(first[1], digits=3):
            raise BrokenReplyError("the answer is not HTTP")
        headers: dict[str, str] = {}
        size_bytes = 0
        while line := self._read_line():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
            if name.strip().lower() == "set-cookie":
                self.set_cookies.append(value.strip())
            size_bytes += len(line)
            if size_bytes > _HEAD_LIMIT_BYTES:
                raise BrokenReplyError("the answer's head is larger than 64 KiB")
        return int(first[1]), headers

    def read_body(self, headers: dict[str, str], *, limit: int) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks(limit=limit)
        length = headers.get("content-length")
        if length is None:
            return self._read_to_close(limit=limit)
        if not _is_number(length.encode("latin-1")):
            raise BrokenReplyError(f"the answer's length is {length!r:.40}")
        return self._read_exactly(min(int(length), limit))

    def _read_chunks(self, *, limit: int) -> bytes:
        body = b""
        while len(body) < limit:
            size = self._read_line().partition(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError as error:
                raise BrokenReplyError(f"a chunk's length is {size!r:.40}") from error
            if length <= 0:
                break
            body += self._read_exactly(min(length, limit - len(body)))
            if len(body) < limit and self._read_line():
                raise BrokenReplyError("a chunk is longer than it says")
        return body

    def _read_to_close(self, *, limit: int) -> bytes:
        body = self._rest
        while len(body) < limit and (part := self._receive()):
            body += part
        return body[:limit]

    def _read_exactly(self, length: int) -> bytes:
        while len(self._rest) < length:
            part = self._receive()
            if not part:
                raise BrokenReplyError(f"the answer ends after {len(self._rest)} of {length} bytes")
            self._rest += part
        body, self._rest = self._rest[:length], self._rest[length:]
        return body

    def _read_line(self, *, started: bool = True) -> bytes:
        while b"\n" not in self._rest:
            part = self._receive() if len(self._rest) <= _HEAD_LIMIT_BYTES else b""
            if not part:
                silent = not started and not self._rest
                raise BrokenReplyError("the connection was closed without an answer" if silent else _CUT)
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line.removesuffix(b"\r")

    def _receive(self) -> bytes:
        self._stream.settimeout(_left_s(self._until_s))
        return self._stream.recv(65536)


_CUT = "the answer is not HTTP, or ends in its head"


def _is_number(text: bytes, *, digits: int = 18) -> bool:
    return text.isdigit() and len(text) <= digits


def _left_s(until_s: float) -> float:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the answer did not end in time")
    return left_s
