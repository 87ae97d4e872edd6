"""One HTTP/1.1 connection of a client that counts. A protocol, not asyncio's streams, which cost more than the proxy.

A deadline is kept by whoever owns the connections (`abort` what has waited too long), for all at once: a timer
a request costs more than its parsing.
"""

import asyncio
import re
import socket
import time
from typing import NamedTuple

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")
_VERSION = re.compile(rb"\r\nx-version: *([^\r]*)")
END = b"\r\n\r\n"


class EndedError(Exception):
    """The connection ended before the answer did. `began`: some of the answer had come."""

    def __init__(self, how: str, *, began: bool) -> None:
        super().__init__(how)
        self.how = how
        self.began = began


class BrokenAnswerError(Exception):
    """What came is no answer."""


class OverdueError(Exception):
    """No answer in time."""


class Answer(NamedTuple):
    """The body is read and dropped. `closes`: the server ends the connection after it."""

    status: int
    version: str
    closes: bool


def parse_head(head: bytes) -> tuple[Answer, int | None]:
    """With the length of the body, None where it comes in chunks. Raises BrokenAnswerError."""
    lower = head.lower()
    if not lower.startswith(b"http/1.") or not lower[9:12].isdigit():
        raise BrokenAnswerError(f"no status line: {head[:40]!r}")
    version = _VERSION.search(lower)
    who = version[1].decode("latin-1") if version else "?"
    answer = Answer(int(lower[9:12]), who, b"\r\nconnection: close" in lower)
    if length := _LENGTH.search(lower):
        return answer, int(length[1])
    return answer, None if b"\r\ntransfer-encoding: chunked" in lower else 0


class Connection(asyncio.Protocol):
    """`used`: a whole answer has come on it. `ended`: how the server's side ended, empty while it has not.
    `waits_since`: monotonic instant of the question that has no answer yet."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._buffer = b""
        self._waiter: asyncio.Future[None] | None = None
        self.ended = ""
        self._overdue = False
        self.used = False
        self.waits_since: float | None = None

    async def open(self, *, timeout_s: float) -> None:
        """Raises OSError, TimeoutError among them."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        stream = socket.socket(family, socket.SOCK_STREAM)
        try:
            stream.setblocking(False)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(stream, self._address)
                await loop.create_connection(lambda: self, sock=stream)
        except BaseException:
            stream.close()
            raise

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        """Whoever waits on it gets OverdueError."""
        self._overdue = True
        self._transport.abort()

    async def ask(self, request: bytes) -> Answer:
        """Raises EndedError, BrokenAnswerError, OverdueError."""
        self.send(request)
        answer = await self.read_answer()
        self.used = True
        return answer

    def send(self, data: bytes) -> None:
        self.waits_since = time.monotonic()
        self._transport.write(data)

    async def read_answer(self) -> Answer:
        while (end := self._buffer.find(END)) < 0:
            await self._receive(began=bool(self._buffer))
        head, self._buffer = self._buffer[: end + 2], self._buffer[end + 4 :]
        answer, length = parse_head(head)
        if length is not None:
            await self._drop(length)
        else:
            await self._drop_chunks()
        self.waits_since = None
        return answer

    async def read_exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._receive(began=True)
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    async def _drop(self, count: int) -> None:
        while count > len(self._buffer):
            count -= len(self._buffer)
            self._buffer = b""
            await self._receive(began=True)
        self._buffer = self._buffer[count:]

    async def _drop_chunks(self) -> None:
        size = -1
        while size:
            while (end := self._buffer.find(b"\r\n")) < 0:
                await self._receive(began=True)
            line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError as error:
                raise BrokenAnswerError(f"no chunk: {line[:40]!r}") from error
            await self._drop(size + 2)

    async def _receive(self, *, began: bool) -> None:
        """Until more has come."""
        if not self.ended:
            self._waiter = asyncio.get_running_loop().create_future()
            length = len(self._buffer)
            await self._waiter
            if len(self._buffer) > length:
                return
        if self._overdue:
            raise OverdueError
        raise EndedError(self.ended, began=began)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self.waits_since = time.monotonic() if self.waits_since is not None else None
        self._wake()

    def eof_received(self) -> bool:
        self.ended = "end"
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.ended or (type(exc).__name__ if exc else "end")
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
