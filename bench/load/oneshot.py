"""One request on a connection of its own, at a third of what a Connection costs: no transport is made for it."""

import asyncio
import errno
import os
import socket
import time

from bench.load.connection import END, Answer, BrokenAnswerError, EndedError, OverdueError, parse_head


class OneShot:
    """As a Connection that is asked once, with `Connection: close`. `client` is the address that it comes from."""

    def __init__(self, address: tuple[str, int], *, client: str = "") -> None:
        self._address = address
        self._client = client
        self._overdue = False
        self.used = False
        self.ended = ""
        self.waits_since: float | None = None

    async def open(self, *, timeout_s: float) -> None:
        """Raises OSError, TimeoutError among them."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._stream = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if self._client:
                self._stream.bind((self._client, 0))
            code = self._stream.connect_ex(self._address)
            if code not in {0, errno.EINPROGRESS}:
                raise OSError(code, os.strerror(code))
            # to this machine the handshake is over when connect returns, though it says EINPROGRESS
            if not self._is_connected():
                async with asyncio.timeout(timeout_s):
                    await asyncio.get_running_loop().sock_connect(self._stream, self._address)
        except BaseException:
            self._stream.close()
            raise

    def _is_connected(self) -> bool:
        try:
            self._stream.getpeername()
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._stream.close()

    def abort(self) -> None:
        self._overdue = True
        self._stream.shutdown(socket.SHUT_RDWR)

    async def ask(self, request: bytes) -> Answer:
        """Raises EndedError, BrokenAnswerError, OverdueError."""
        self.waits_since = time.monotonic()
        loop = asyncio.get_running_loop()
        received = b""
        try:
            self._stream.send(request)
            while more := await loop.sock_recv(self._stream, 65536):
                received += more
        except OSError as error:
            raise self._fault(type(error).__name__, received) from error
        answer, wanted = self._parse(received)
        body = received[received.find(END) + 4 :]
        if body.endswith(b"0\r\n\r\n") if wanted is None else len(body) == wanted:
            return answer
        raise self._fault("end", received)

    def _parse(self, received: bytes) -> tuple[Answer, int | None]:
        end = received.find(END)
        if end < 0:
            raise self._fault("end", received)
        return parse_head(received[: end + 2])

    def _fault(self, how: str, received: bytes) -> EndedError | OverdueError | BrokenAnswerError:
        return OverdueError() if self._overdue else EndedError(how, began=bool(received))


def make_clients(count: int) -> list[str]:
    """Different addresses, none of them 127.0.0.1: all of 127/8 is this machine's."""
    return [f"127.{1 + index // 60000}.{index // 250 % 240}.{1 + index % 250}" for index in range(count)]
