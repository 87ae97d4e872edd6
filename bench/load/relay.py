"""`python -m bench.load.relay PORT HOST:PORT ROUND_TRIP_MS`: the same server, but far away.

Bytes, ends (FIN) and resets take half the round trip each way; a connection is opened there half a round trip after it
was here, and its first bytes wait for the handshake. There is no loss and no limit: what is on its way must fit
into memory.
A client's own connect() still returns at once, which the wait of its first bytes makes up for.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable

_HANDSHAKE_HALVES = 3
"""SYN there, SYN+ACK back, then the first bytes there."""


class _Way:
    """What happens on one side happens on the other after the delay, in the same order."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._due: deque[tuple[float, Callable[[], None]]] = deque()
        self._loop = asyncio.get_running_loop()
        self.not_before = 0.0

    def put(self, happen: Callable[[], None]) -> None:
        at = max(self._loop.time() + self._delay_s, self.not_before)
        self._due.append((at, happen))
        if len(self._due) == 1:
            self._loop.call_at(at, self._happen)

    def _happen(self) -> None:
        while self._due and self._due[0][0] <= self._loop.time():
            self._due[0][1]()
            self._due.popleft()
        if self._due:
            self._loop.call_at(self._due[0][0], self._happen)


class _End(asyncio.Protocol):
    """One of the two connections."""

    def __init__(self, way: _Way) -> None:
        self.way = way
        self.other: _End | None = None
        self._transport: asyncio.Transport | None = None
        self._early: list[Callable[[], None]] = []
        self._ended_here = self._ended_there = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        for act in self._early:
            act()

    def data_received(self, data: bytes) -> None:
        self._pass_on(lambda other: other.write(data))

    def eof_received(self) -> bool:
        """True: this side may still be written to."""
        self._ended_there = True
        self._pass_on(_End.end)
        return not self._ended_here

    def connection_lost(self, exc: Exception | None) -> None:
        if exc or not self._ended_there:
            self._pass_on(_End.reset)

    def _pass_on(self, act: "Callable[[_End], None]") -> None:
        self.way.put(lambda: self.other.take(act) if self.other else None)

    def take(self, act: "Callable[[_End], None]") -> None:
        """Now, or when the connection is open."""
        if self._transport is None:
            self._early.append(lambda: act(self))
        elif not self._transport.is_closing():
            act(self)

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def end(self) -> None:
        """FIN; with the other side's, the connection is over."""
        assert self._transport is not None
        self._ended_here = True
        with contextlib.suppress(OSError):  # reset meanwhile, which connection_lost will tell
            self._transport.write_eof()
        if self._ended_there:
            self._transport.close()

    def reset(self) -> None:
        """RST, not FIN."""
        assert self._transport is not None
        stream = self._transport.get_extra_info("socket")
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


async def serve(port: int, target: tuple[str, int], *, round_trip_s: float) -> None:
    loop = asyncio.get_running_loop()
    half_s = round_trip_s / 2
    opening: set[asyncio.Task[None]] = set()

    def accept() -> _End:
        here, there = _End(_Way(half_s)), _End(_Way(half_s))
        here.other, there.other = there, here
        here.way.not_before = loop.time() + _HANDSHAKE_HALVES * half_s
        task = loop.create_task(_open_there(here, there))
        opening.add(task)
        task.add_done_callback(opening.discard)
        return here

    async def _open_there(here: _End, there: _End) -> None:
        await asyncio.sleep(half_s)
        try:
            await loop.create_connection(lambda: there, *target)
        except OSError:
            await asyncio.sleep(half_s)
            here.take(_End.reset)

    server = await loop.create_server(accept, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    host, _, number = sys.argv[2].rpartition(":")
    asyncio.run(serve(int(sys.argv[1]), (host, int(number)), round_trip_s=float(sys.argv[3]) / 1000))
