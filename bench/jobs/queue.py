"""A real Redis, and jobs for each worker all the time."""

import subprocess
import threading
import time
from pathlib import Path
from typing import Self

from msgspec import Struct

from bench.jobs.worker import Redis

_EVERY_S = 0.06
"""A worker at work can do three times as many."""
_UP_TIMEOUT_S = 20.0
_IN_HAND_S = 1.0


class Jobs(Struct, frozen=True, kw_only=True):
    put_count: int
    lost_count: int
    doubled_count: int


class JobQueue:
    """`socket` is made here, open to every user. Nothing is kept on the disk."""

    def __init__(self, socket: Path, names: tuple[str, ...]) -> None:
        self._socket, self._names = str(socket), names
        own = ["--port", "0", "--unixsocket", self._socket, "--unixsocketperm", "777"]
        self._process = subprocess.Popen(
            ["redis-server", *own, "--save", "", "--appendonly", "no", "--dir", "/tmp"],
            stdout=subprocess.DEVNULL,
        )
        self._over = threading.Event()
        self._put_count = 0
        self._feeder = threading.Thread(target=self._feed)

    def __enter__(self) -> Self:
        until = time.monotonic() + _UP_TIMEOUT_S
        while not Path(self._socket).exists():
            if time.monotonic() > until:
                raise RuntimeError("redis-server does not come up")
            time.sleep(0.01)
        self._feeder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._process.terminate()
        self._process.wait()

    def end(self) -> None:
        """No new jobs from here on."""
        self._over.set()
        self._feeder.join()

    def settle(self, *, timeout_s: float = 120.0) -> None:
        """Until each job was taken, and what was taken by somebody who lives is done."""
        redis, until = Redis(self._socket), time.monotonic() + timeout_s
        while any(redis.pipeline([("LLEN", f"new:{name}") for name in self._names])):
            if time.monotonic() > until:
                raise RuntimeError("nobody takes the jobs that wait")
            time.sleep(0.05)
        redis.close()
        time.sleep(_IN_HAND_S)

    def count(self, name: str) -> Jobs:
        redis = Redis(self._socket)
        told = redis.call("LRANGE", f"done:{name}", 0, -1)
        redis.close()
        assert isinstance(told, list)
        done = [int(line.split()[0]) for line in told]
        put = set(range(self._put_count))
        return Jobs(put_count=len(put), lost_count=len(put - set(done)), doubled_count=len(done) - len(set(done)))

    def _feed(self) -> None:
        redis = Redis(self._socket)
        while not self._over.wait(_EVERY_S):
            redis.pipeline([("RPUSH", f"new:{name}", self._put_count) for name in self._names])
            self._put_count += 1
        redis.close()
