"""Load that counts: every request exactly once, no retries, failures by kind.

*failed* is a refused, reset, empty, broken or non-2xx answer, or none in time; *closed* a kept connection
closed under a request, before any of its answer (a browser repeats a GET; a POST surfaces); *idle_closed*
one that it closed between two, which nobody notices; *cut* a WebSocket or download that broke before its end;
*parted* a WebSocket that was ended by a close frame, as the protocol asks: an app that leaves does so, and so does a
proxy that reloads (Caddy).
"""

import asyncio
import base64
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from typing import TypeVar

from bench.load.connection import BrokenAnswerError, Connection, EndedError, OverdueError
from bench.load.oneshot import OneShot, make_clients

_TIMEOUT_S = 30.0
_CLOSE = 8


@dataclass
class Tally:
    """Shared by all clients of one run. `first` and `last`: per version, monotonic seconds of its first and last
    answer. `acknowledged` are the ids of POSTs that were answered 2xx."""

    requests: int = 0
    failed: int = 0
    closed: int = 0
    idle_closed: int = 0
    cut: int = 0
    parted: int = 0
    websockets: int = 0
    streams: int = 0
    acknowledged: list[str] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)

    def answered(self, version: str, at: float, *, sent_at: float) -> None:
        self.versions[version] += 1
        self.first.setdefault(version, at)
        self.last[version] = max(sent_at, self.last.get(version, sent_at))

    def as_dict(self) -> dict[str, object]:
        """Ready for JSON; `Tally(**…)` takes it back."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def fault(self, kind: str, what: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self.faults[f"{kind}: {what}"] += 1


class GoingAwayError(Exception):
    """The server closed a WebSocket as the protocol asks: with a close frame."""


_Any = TypeVar("_Any", Connection, OneShot)
_Broken = (EndedError, BrokenAnswerError, OverdueError)


class Load:
    """Clients against one site, until `stop` is set or `limit` requests were made, plus what was in flight then.
    One-shot requests come from `addresses_count` addresses in turn (0: from the machine's own)."""

    def __init__(
        self, host: str, port: int, *, site: str, think_s: float = 0.002, limit: int = 0, addresses_count: int = 0
    ) -> None:
        self._think_s = think_s
        self._clients = itertools.cycle(make_clients(addresses_count) or [""])
        self._limit = limit
        self.tally = Tally()
        self.stop = asyncio.Event()
        self._address = (host, port)
        self._host = f" HTTP/1.1\r\nHost: {site}\r\n".encode()
        self._ids = itertools.count()
        self._run = os.urandom(4).hex()
        self._connections: set[Connection | OneShot] = set()

    async def run(self, *, keepalive: int, oneshot: int, posts: int, websockets: int, streams: int) -> Tally:
        plans = (
            (keepalive, self._keepalive),
            (oneshot, self._oneshot),
            (posts, self._post),
            (websockets, self._websocket),
            (streams, self._stream),
        )
        watch = asyncio.create_task(self._end_overdue())
        await asyncio.gather(*(self._repeat(client) for count, client in plans for _ in range(count)))
        watch.cancel()
        return self.tally

    async def _end_overdue(self) -> None:
        while True:
            await asyncio.sleep(_TIMEOUT_S / 10)
            since = time.monotonic() - _TIMEOUT_S
            for each in [each for each in self._connections if (each.waits_since or since) < since]:
                each.abort()

    async def _repeat(self, client: Callable[[], Awaitable[None]]) -> None:
        while not self.stop.is_set():
            await client()

    async def _think(self) -> None:
        """Half to one and a half times as long as asked: clients in step would all be caught by a switch, or none."""
        if self._think_s:
            await asyncio.sleep(self._think_s * (0.5 + random.random()))

    async def _keepalive(self) -> None:
        """Many requests on one connection."""
        connection = await self._open()
        request = b"GET /" + self._host + b"\r\n"
        while connection and not self.stop.is_set() and not self._left_idle(connection):
            if not await self._request(connection, request):
                break
            await self._think()
        self._close(connection)

    async def _oneshot(self) -> None:
        client = next(self._clients)
        connection = await self._open(lambda address: OneShot(address, client=client))
        if connection:
            await self._request(connection, b"GET /" + self._host + b"Connection: close\r\n\r\n")
        self._close(connection)
        await self._think()

    async def _post(self) -> None:
        """Unique ids on one keep-alive connection; acknowledged only by a 2xx."""
        connection = await self._open()
        while connection and not self.stop.is_set() and not self._left_idle(connection):
            order = f"{self._run}-{next(self._ids)}"
            request = b"POST /orders" + self._host + f"Content-Length: {len(order)}\r\n\r\n{order}".encode()
            if not await self._request(connection, request, order=order):
                break
            await self._think()
        self._close(connection)

    async def _open(self, make: Callable[[tuple[str, int]], _Any] = Connection) -> _Any | None:  # type: ignore[assignment]
        connection = make(self._address)
        try:
            await connection.open(timeout_s=_TIMEOUT_S)
        except OSError as error:
            self.tally.requests += 1
            self.tally.fault("failed", f"connect: {type(error).__name__}")
            await asyncio.sleep(0.01)
            return None
        self._connections.add(connection)
        return connection

    def _close(self, connection: Connection | OneShot | None) -> None:
        if connection:
            self._connections.discard(connection)
            connection.close()

    def _left_idle(self, connection: Connection) -> bool:
        if connection.ended and connection.used:
            self.tally.idle_closed += 1
            return True
        return False

    async def _request(self, connection: Connection | OneShot, request: bytes, *, order: str = "") -> bool:
        """Counts one request. False: the connection is of no more use, or the answer was a failure."""
        sent_at = time.monotonic()
        reused = connection.used
        self.tally.requests += 1
        if self.tally.requests == self._limit:
            self.stop.set()
        try:
            status, version, closes = await connection.ask(request)
        except _Broken as error:
            lost = reused and isinstance(error, EndedError) and not error.began
            self.tally.fault("closed" if lost else "failed", f"{_verb(request)} {_say(error)}")
            return False
        self.tally.answered(version, time.monotonic(), sent_at=sent_at)
        if not 200 <= status < 300:
            self.tally.fault("failed", f"{_verb(request)} {status}")
            return False
        if order:
            self.tally.acknowledged.append(order)
        return not closes

    async def _websocket(self) -> None:
        """An echo every 20 ms on a connection that lives as long as the run."""
        connection = await self._open()
        if not connection:
            return
        self.tally.websockets += 1
        try:
            await self._upgrade(connection)
            for number in itertools.count():
                if self.stop.is_set():
                    break
                await self._echo(connection, f"m{number}".encode())
                await asyncio.sleep(0.02)
        except GoingAwayError:
            self.tally.parted += 1
        except _Broken as error:
            self.tally.fault("cut", f"websocket {_say(error)}")
        self._close(connection)

    async def _upgrade(self, connection: Connection) -> None:
        key = base64.b64encode(os.urandom(16))
        upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        status, _, _ = await connection.ask(b"GET /ws" + self._host + upgrade + key + b"\r\n\r\n")
        if status != 101:
            raise BrokenAnswerError(f"upgrade answered {status}")

    @staticmethod
    async def _echo(connection: Connection, text: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text))
        connection.send(bytes([0x81, 0x80 | len(text)]) + mask + masked)
        start = await connection.read_exactly(2)
        answer = await connection.read_exactly(start[1] & 0x7F)
        connection.waits_since = None
        if start[0] & 0x0F == _CLOSE:
            raise GoingAwayError
        if answer != text:
            raise BrokenAnswerError("the echo differs")

    async def _stream(self) -> None:
        """A download of two seconds, to its last byte."""
        connection = await self._open()
        if not connection:
            return
        self.tally.streams += 1
        try:
            status, _, _ = await connection.ask(b"GET /stream" + self._host + b"Connection: close\r\n\r\n")
            if status != 200:
                raise BrokenAnswerError(f"stream answered {status}")
        except _Broken as error:
            self.tally.fault("cut", f"stream {_say(error)}")
        self._close(connection)


def _verb(request: bytes) -> str:
    return request.split(b" ", 1)[0].decode()


def _say(error: Exception) -> str:
    return str(error) or type(error).__name__
