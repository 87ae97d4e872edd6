"""`python -m bench.load.slot NAME ADDRESS`: a slot without an app, fast enough not to be what is measured.

Answers as version NAME: GET / at once, POST /orders keeps the id, GET /orders tells how often each was kept, /ws
echoes, /stream is a download of two seconds. ADDRESS is host:port or the path of a socket.

An epoll loop of its own: a proxy opens a connection for each request, and one costs asyncio three times as much.
"""

import base64
import contextlib
import hashlib
import heapq
import itertools
import json
import re
import select
import socket
import sys
import time
from collections import Counter
from pathlib import Path

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\nsec-websocket-key: *([^\r]*)", re.IGNORECASE)
_KEEPS = re.compile(rb"\r\nconnection: *keep-alive", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_WEBSOCKET_ID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CHUNKS_COUNT, _CHUNK_EVERY_S = 20, 0.1
_FRAME_HEAD_BYTES = 6
_AT_ONCE_BYTES = 16384


class Slot:
    def __init__(self, name: str, listener: socket.socket) -> None:
        self._name = name.encode()
        self._orders: Counter[str] = Counter()
        self._listener = listener
        self._epoll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._chunks: list[tuple[float, int, _Connection, int]] = []
        self._order = itertools.count()

    def serve(self) -> None:
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        listening = self._listener.fileno()
        while True:
            wait_s = max(0.0, self._chunks[0][0] - time.monotonic()) if self._chunks else -1
            for descriptor, _ in self._epoll.poll(wait_s):
                if descriptor == listening:
                    self._accept()
                elif descriptor in self._connections:
                    self._read(self._connections[descriptor])
            while self._chunks and self._chunks[0][0] <= time.monotonic():
                _, _, connection, remaining = heapq.heappop(self._chunks)
                self._send_chunk(connection, remaining)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                stream, _ = self._listener.accept()
                stream.setblocking(False)
                connection = self._connections[stream.fileno()] = _Connection(stream)
                self._epoll.register(stream.fileno(), select.EPOLLIN)
                self._read(connection)

    def _read(self, connection: "_Connection") -> None:
        try:
            received = connection.stream.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._close(connection)
            return
        connection.buffer += received
        while connection.buffer and (self._echo(connection) if connection.echoes else self._answer(connection)):
            pass

    def _close(self, connection: "_Connection") -> None:
        self._connections.pop(connection.stream.fileno(), None)
        connection.stream.close()

    def _answer(self, connection: "_Connection") -> bool:
        """False: the request is not whole yet."""
        buffer = connection.buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = buffer[: end + 2]
        length = _LENGTH.search(head) if head[:1] == b"P" else None
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(buffer) < whole:
            return False
        connection.buffer = buffer[whole:]
        self._respond(connection, head, buffer[end + 4 : whole])
        return True

    def _respond(self, connection: "_Connection", head: bytes, body: bytes) -> None:
        method, path, rest = head.split(b" ", 2)
        connection.closes = bool(_CLOSES.search(rest)) if rest.startswith(b"HTTP/1.1") else not _KEEPS.search(rest)
        match method, path:
            case b"POST", b"/orders":
                self._orders[body.decode("latin-1")] += 1
                self._send(connection, b"kept")
            case _, b"/orders":
                self._send(connection, json.dumps(self._orders).encode())
            case _, b"/ws":
                self._upgrade(connection, head)
            case _, b"/stream":
                close = b"Connection: close\r\n" if connection.closes else b""
                start = b"HTTP/1.1 200 OK\r\nX-Version: %b\r\nTransfer-Encoding: chunked\r\n%b\r\n"
                connection.write(start % (self._name, close))
                self._send_chunk(connection, _CHUNKS_COUNT)
            case _:
                self._send(connection, self._name)

    def _send(self, connection: "_Connection", body: bytes) -> None:
        close = b"Connection: close\r\n" if connection.closes else b""
        head = b"HTTP/1.1 200 OK\r\nX-Version: %b\r\nContent-Length: %d\r\n%b\r\n" % (self._name, len(body), close)
        connection.write(head + body)
        if connection.closes:
            self._close(connection)

    def _send_chunk(self, connection: "_Connection", remaining: int) -> None:
        connection.write(b"6\r\nchunk\n\r\n" if remaining else b"0\r\n\r\n")
        if remaining:
            at = time.monotonic() + _CHUNK_EVERY_S
            heapq.heappush(self._chunks, (at, next(self._order), connection, remaining - 1))
        elif connection.closes:
            self._close(connection)

    def _upgrade(self, connection: "_Connection", head: bytes) -> None:
        key = _KEY.search(head)
        digest = hashlib.sha1((key[1] if key else b"") + _WEBSOCKET_ID, usedforsecurity=False).digest()
        connection.write(
            b"HTTP/1.1 101 Switching Protocols\r\nX-Version: %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % (self._name, base64.b64encode(digest))
        )
        connection.echoes = True

    def _echo(self, connection: "_Connection") -> bool:
        """Frames of a client are masked, and here shorter than 126 bytes."""
        buffer = connection.buffer
        whole = _FRAME_HEAD_BYTES + (buffer[1] & 0x7F if len(buffer) > 1 else 0)
        if len(buffer) < whole:
            return False
        frame, connection.buffer = buffer[:whole], buffer[whole:]
        text = bytes(byte ^ frame[2 + index % 4] for index, byte in enumerate(frame[_FRAME_HEAD_BYTES:]))
        connection.write(bytes([frame[0], len(text)]) + text)
        return True


class _Connection:
    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self.buffer = b""
        self.echoes = False
        self.closes = False

    def write(self, data: bytes) -> None:
        """Answers are far smaller than a socket's buffer; /orders alone may be larger, and is waited for."""
        with contextlib.suppress(OSError):
            if len(data) <= _AT_ONCE_BYTES:
                self.stream.send(data)
                return
            self.stream.settimeout(5.0)
            self.stream.sendall(data)
            self.stream.settimeout(0)


def listen(address: str) -> socket.socket:
    if address.startswith("/"):
        listener = socket.socket(socket.AF_UNIX)
        Path(address).unlink(missing_ok=True)
        listener.bind(address)
    else:
        host, _, port = address.rpartition(":")
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
    listener.listen(4096)
    listener.setblocking(False)
    return listener


if __name__ == "__main__":
    Slot(sys.argv[1], listen(sys.argv[2])).serve()
