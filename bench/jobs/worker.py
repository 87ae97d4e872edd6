"""A worker of somebody's, in a slot: takes each job of a Redis list once, ends what it has begun when it is told to
stop, and writes down what it did. On the standard library alone, so that it runs in every slot.

Taking is one LMOVE into a list of its own, so that a job is in one place at every moment; writing down and taking out
is one transaction."""

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence

SOCKETS = ("data/redis.sock", "/data/redis.sock")
WORK_S = 0.02
_POLL_S = 0.005
_BREAKS_AFTER_S = 0.1


class Redis:
    """Blocks for each reply."""

    def __init__(self, path: str) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(path)
        self._replies = self._connection.makefile("rb")

    def call(self, *words: str | int) -> object:
        [reply] = self.pipeline([words])
        return reply

    def pipeline(self, commands: Sequence[Sequence[str | int]]) -> list[object]:
        self._connection.sendall(b"".join(_encode(words) for words in commands))
        return [self._read() for _ in commands]

    def close(self) -> None:
        self._replies.close()
        self._connection.close()

    def _read(self) -> object:
        line = self._replies.readline()
        kind, rest = line[:1], line[1:].strip().decode()
        match kind:
            case b"+":
                return rest
            case b":":
                return int(rest)
            case b"$":
                size = int(rest)
                return None if size < 0 else self._replies.read(size + 2)[:-2].decode()
            case b"*":
                return [self._read() for _ in range(int(rest))]
            case _:
                raise OSError(rest or "Redis is gone")


def _encode(words: Sequence[str | int]) -> bytes:
    texts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)


class Worker:
    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._is_quiet = self._is_over = False
        with open("VERSION") as file:  # noqa: PTH123 - a slot's Python may start without what pathlib needs
            self._version = file.read().strip()

    def be_quiet(self, *_: object) -> None:
        self._is_quiet = True

    def stop(self, *_: object) -> None:
        self._is_over = True

    def work(self) -> None:
        began_s = time.monotonic()
        redis = self._connect()
        while redis and not self._is_over:
            if self._version.startswith("broken") and time.monotonic() - began_s > _BREAKS_AFTER_S:
                raise SystemExit(5)
            job = None if self._is_quiet else redis.call("LMOVE", f"new:{self._queue}", self._taken, "LEFT", "RIGHT")
            if job is None:
                time.sleep(_POLL_S)
                continue
            time.sleep(WORK_S)
            done = ("RPUSH", f"done:{self._queue}", f"{job} {self._version}")
            redis.pipeline([("MULTI",), done, ("LREM", self._taken, 1, str(job)), ("EXEC",)])

    @property
    def _taken(self) -> str:
        return f"taken:{self._queue}"

    def _connect(self) -> Redis | None:
        """Which may come up after the first release."""
        while not self._is_over:
            for path in SOCKETS:
                if os.path.exists(path):  # noqa: PTH110 - as above
                    return Redis(path)
            time.sleep(_POLL_S)
        return None


if __name__ == "__main__":
    worker = Worker(sys.argv[1])
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGUSR1, worker.be_quiet)
    worker.work()
