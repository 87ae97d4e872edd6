"""Time, and a person's request to a running operation: a file to say it, SIGUSR1 to be heard at once."""

import contextlib
import os
import select
import signal
import time
from pathlib import Path

import msgspec

from celadon.contracts.control import Asked
from celadon.host.files import write_atomic
from celadon.model.plan import Request


def ask(path: Path, request: Request, *, by: str, pid: int | None = None) -> None:
    """Leave `request` for the running operation and wake it. Durable: an operation that is stopped reads it when it
    goes on. The caller has seen the operation hold its lock, so `pid` is not a recycled one."""
    write_atomic(path, msgspec.json.encode(Asked(request=request, by=by)))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid if pid is not None else os.getpid(), signal.SIGUSR1)


class FileControl:
    def __init__(self, path: Path) -> None:
        self._path = path

    def asked(self) -> Asked | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Asked)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def taken(self) -> None:
        self._path.unlink(missing_ok=True)


class HostClock:
    """`wait` sleeps on a pipe that the SIGUSR1 handler writes to. One per process."""

    def __init__(self) -> None:
        self._readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        signal.signal(signal.SIGUSR1, lambda *_: None)

    @staticmethod
    def now_s() -> float:
        return time.monotonic()

    @staticmethod
    def spent_s() -> float:
        return time.thread_time()

    def wait(self, duration_s: float) -> None:
        woken, _, _ = select.select([self._readable], [], [], duration_s)
        if woken:
            with contextlib.suppress(BlockingIOError):
                os.read(self._readable, 4096)
