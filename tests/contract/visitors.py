"""Visitors of a site that is switched under them."""

import socket
import threading
import time


class Visitors:
    """A visitor with one connection kept alive and one with a connection a request; nobody retries."""

    def __init__(self, port: int, *, host: str = "shop.example") -> None:
        self._host = host
        self._address = ("127.0.0.1", port)
        self._done = threading.Event()
        self.count = 0
        self.closed_count = 0
        self.failures: list[str] = []
        self.lost: list[str] = []
        self._threads = [threading.Thread(target=run) for run in (self._keep_alive, self._one_shot)]

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def await_more(self, count: int) -> None:
        until, deadline = self.count + count, time.monotonic() + 10
        while self.count < until and time.monotonic() < deadline:
            time.sleep(0.001)

    def _keep_alive(self) -> None:
        """A connection that the proxy closes under a request is counted apart: a browser repeats that one."""
        stream = socket.create_connection(self._address, timeout=5)
        asked_count = 0
        while not self._done.is_set():
            kept = self._ask(stream, "keep-alive", reused=asked_count > 0)
            asked_count += 1
            if not kept:
                stream.close()
                stream, asked_count = socket.create_connection(self._address, timeout=5), 0
        stream.close()

    def _one_shot(self) -> None:
        while not self._done.is_set():
            with socket.create_connection(self._address, timeout=5) as stream:
                self._ask(stream, "close")

    def _ask(self, stream: socket.socket, connection: str, *, reused: bool = False) -> bool:
        """False when the proxy ends the connection with or after this answer."""
        request = f"GET / HTTP/1.1\r\nHost: {self._host}\r\nConnection: {connection}\r\n\r\n"
        answer = b""
        try:
            stream.sendall(request.encode())
            while not answer.endswith((b"blue", b"green")):
                chunk = stream.recv(65536)
                if not chunk:
                    break
                answer += chunk
        except OSError as error:
            return self._lose(f"{connection}: {error}, got {answer!r}", closed=reused and not answer)
        if not answer:
            return self._lose(f"{connection}: closed", closed=reused)
        self.count += 1
        if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith((b"blue", b"green")):
            self.failures.append(f"{connection}: {answer[:60]!r}")
        return b"Connection: close" not in answer

    def _lose(self, what: str, *, closed: bool) -> bool:
        if closed:
            self.closed_count += 1
        else:
            self.lost.append(what)
        return False


def read_answer(stream: socket.socket) -> tuple[int, str]:
    """Status and body of an answer that ends with its connection."""
    answer = b""
    while chunk := stream.recv(65536):
        answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()
