"""Load that counts: every request exactly once, no retries, failures by kind.

*failed* is a refused, reset, empty or non-2xx answer on a fresh connection; *closed* a reused keep-alive connection
that the proxy closed under a request (a browser repeats a GET; a POST surfaces); *cut* a WebSocket or download that
broke before its end.
"""

import asyncio
import base64
import itertools
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields

_TIMEOUT_S = 30.0
_CLOSE = 8


@dataclass
class Tally:
    """Shared by all clients of one run. `first` and `last`: per version, monotonic seconds of its first and last
    answer. `acknowledged` are the ids of POSTs that were answered 2xx."""

    requests: int = 0
    failed: int = 0
    closed: int = 0
    cut: int = 0
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


class BrokenAnswerError(Exception):
    """The connection gave less than an answer."""


class GoingAwayError(Exception):
    """The server closed a WebSocket as the protocol asks: with a close frame."""


class Connection:
    """One HTTP/1.1 connection."""

    def __init__(self, host: str, port: int, *, site: str) -> None:
        self._address = (host, port)
        self._site = site
        self.used = False

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(*self._address)
        self.used = False

    def close(self) -> None:
        self.writer.close()

    async def ask(self, method: str, path: str, *, body: bytes = b"", headers: str = "") -> tuple[int, dict[str, str]]:
        """Status and headers; the body is read and dropped. Raises OSError or BrokenAnswerError."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._site}\r\n{length}{headers}\r\n"
        self.writer.write(head.encode() + body)
        status, found = await self.read_head()
        remaining = int(found.get("content-length", "0"))
        if "content-length" not in found and found.get("transfer-encoding") == "chunked":
            await self._read_chunks()
        elif len(await self.reader.readexactly(remaining)) != remaining:
            raise BrokenAnswerError("short body")
        self.used = True
        return status, found

    async def read_head(self) -> tuple[int, dict[str, str]]:
        raw = await self.reader.readuntil(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")
        words = lines[0].split(None, 2)
        if len(words) < 2 or not words[1].isdigit():
            raise BrokenAnswerError(f"no status line: {lines[0]!r}")
        pairs = (line.partition(":") for line in lines[1:] if ":" in line)
        return int(words[1]), {name.strip().lower(): value.strip().lower() for name, _, value in pairs}

    async def _read_chunks(self) -> None:
        while True:
            size = int((await self.reader.readline()).split(b";")[0], 16)
            await self.reader.readexactly(size + 2)
            if size == 0:
                return


class Load:
    """Clients against one site, until `stop` is set."""

    def __init__(self, host: str, port: int, *, site: str, think_s: float = 0.002) -> None:
        self._think_s = think_s
        self.tally = Tally()
        self.stop = asyncio.Event()
        self._where = (host, port, site)
        self._ids = itertools.count()
        self._run = os.urandom(4).hex()

    async def run(self, *, keepalive: int, oneshot: int, posts: int, websockets: int, streams: int) -> Tally:
        plans = (
            (keepalive, self._keepalive),
            (oneshot, self._oneshot),
            (posts, self._post),
            (websockets, self._websocket),
            (streams, self._stream),
        )
        await asyncio.gather(*(self._repeat(client) for count, client in plans for _ in range(count)))
        return self.tally

    def _connection(self) -> Connection:
        host, port, site = self._where
        return Connection(host, port, site=site)

    async def _repeat(self, client: Callable[[], Awaitable[None]]) -> None:
        while not self.stop.is_set():
            await client()

    async def _keepalive(self) -> None:
        """Many requests on one connection."""
        connection = self._connection()
        if not await self._open(connection):
            return
        while not self.stop.is_set():
            if not await self._request(connection, "GET", "/"):
                break
            await asyncio.sleep(self._think_s)
        connection.close()

    async def _oneshot(self) -> None:
        connection = self._connection()
        if await self._open(connection):
            await self._request(connection, "GET", "/", headers="Connection: close\r\n")
            connection.close()
        await asyncio.sleep(self._think_s)

    async def _post(self) -> None:
        """Unique ids on one keep-alive connection; acknowledged only by a 2xx."""
        connection = self._connection()
        if not await self._open(connection):
            return
        while not self.stop.is_set():
            order = f"{self._run}-{next(self._ids)}"
            if not await self._request(connection, "POST", "/orders", body=order.encode()):
                break
            self.tally.acknowledged.append(order)
            await asyncio.sleep(self._think_s)
        connection.close()

    async def _open(self, connection: Connection) -> bool:
        try:
            await asyncio.wait_for(connection.open(), _TIMEOUT_S)
        except (OSError, TimeoutError) as error:
            self.tally.requests += 1
            self.tally.fault("failed", f"connect: {type(error).__name__}")
            await asyncio.sleep(0.01)
            return False
        return True

    async def _request(
        self, connection: Connection, method: str, path: str, *, body: bytes = b"", headers: str = ""
    ) -> bool:
        """Counts one request. False: the connection is of no more use, or the answer was a failure."""
        sent_at = time.monotonic()
        reused = connection.used
        self.tally.requests += 1
        try:
            status, found = await asyncio.wait_for(connection.ask(method, path, body=body, headers=headers), _TIMEOUT_S)
        except (OSError, EOFError, BrokenAnswerError, TimeoutError) as error:
            lost = reused and isinstance(error, OSError | asyncio.IncompleteReadError)
            self.tally.fault("closed" if lost else "failed", f"{method} {type(error).__name__}")
            return False
        self.tally.answered(found.get("x-version", "?"), time.monotonic(), sent_at=sent_at)
        if not 200 <= status < 300:
            self.tally.fault("failed", f"{method} {path} {status}")
            return False
        return found.get("connection") != "close"

    async def _websocket(self) -> None:
        """An echo every 20 ms on a connection that lives as long as the run."""
        connection = self._connection()
        if not await self._open(connection):
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
            pass
        except (OSError, EOFError, BrokenAnswerError, TimeoutError) as error:
            self.tally.fault("cut", f"websocket {type(error).__name__}")
        connection.close()

    async def _upgrade(self, connection: Connection) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        site = self._where[2]
        connection.writer.write(
            f"GET /ws HTTP/1.1\r\nHost: {site}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        status, _ = await asyncio.wait_for(connection.read_head(), _TIMEOUT_S)
        if status != 101:
            raise BrokenAnswerError(f"upgrade answered {status}")

    @staticmethod
    async def _echo(connection: Connection, text: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text))
        connection.writer.write(bytes([0x81, 0x80 | len(text)]) + mask + masked)
        start = await asyncio.wait_for(connection.reader.readexactly(2), _TIMEOUT_S)
        answer = await connection.reader.readexactly(start[1] & 0x7F)
        if start[0] & 0x0F == _CLOSE:
            raise GoingAwayError
        if answer != text:
            raise BrokenAnswerError("the echo differs")

    async def _stream(self) -> None:
        """A download of two seconds, to its last byte."""
        connection = self._connection()
        if not await self._open(connection):
            return
        self.tally.streams += 1
        try:
            status, _ = await asyncio.wait_for(
                connection.ask("GET", "/stream", headers="Connection: close\r\n"), _TIMEOUT_S
            )
            if status != 200:
                raise BrokenAnswerError(f"stream answered {status}")
        except (OSError, EOFError, BrokenAnswerError, TimeoutError) as error:
            self.tally.fault("cut", f"stream {type(error).__name__}")
        connection.close()
