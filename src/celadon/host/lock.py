"""One holder at a time, and none after its death.

flock(2) on a file that nobody ever unlinks: the kernel drops it with the last descriptor. Unlinking a lock file
lets two holders in (one on the old inode, one on the new), so after taking it the inode is compared with what the
path names now. Who holds it stands beside, in `lock.holder`, for people and for signals; it decides nothing.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.host.files import write_atomic
from celadon.host.processes import identify
from celadon.model.errors import BusyError
from celadon.model.names import OperationId

_TRIES_COUNT = 5
_BETWEEN_TRIES_S = 0.004


class Holder(Struct, frozen=True, kw_only=True):
    """`since_at` is wall-clock seconds, for people; `started_ticks` tells this process from a later one of its pid."""

    holder: str
    pid: int
    started_ticks: int
    operation: OperationId
    purpose: str
    since_at: float


class AppLock:
    """Not reentrant. Inherited by forks: a child that keeps the descriptor keeps the lock, so children are
    started with close-on-exec and nothing is forked while it is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = path.with_name(f"{path.name}.holder")
        self._descriptor: int | None = None

    def acquire(self, *, holder: str, operation: OperationId, purpose: str) -> None:
        """Blocks at most 20 ms. Raises BusyError that names the holder and since when."""
        self._descriptor = self._take()
        record = Holder(
            holder=holder,
            pid=os.getpid(),
            started_ticks=_started_ticks(os.getpid()),
            operation=operation,
            purpose=purpose,
            since_at=time.time(),
        )
        with contextlib.suppress(OSError):
            write_atomic(self._beside, msgspec.json.encode(record))

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> Holder | None:
        """Who holds the lock at this moment; None when nobody does. Asking takes a shared lock for microseconds,
        which is why `acquire` tries a few times before it says busy."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return None if _is_free(descriptor) else self._read_living()
        finally:
            os.close(descriptor)

    def _take(self) -> int:
        tries_left = _TRIES_COUNT
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                tries_left -= 1
                if tries_left == 0:
                    raise self._busy() from None
                time.sleep(_BETWEEN_TRIES_S)
                continue
            if _is_at(descriptor, self._path):
                return descriptor
            os.close(descriptor)

    def _busy(self) -> BusyError:
        found = self._read_living()
        if found is None:
            return BusyError("another operation holds the lock", code="locked", next_command="celadon attach")
        since = time.strftime("%H:%M:%S", time.localtime(found.since_at))
        return BusyError(
            f"{found.holder} holds the lock for a {found.purpose} since {since} (pid {found.pid})",
            code="locked",
            next_command="celadon attach",
        )

    def _read_living(self) -> Holder | None:
        """A new holder writes its name microseconds after it has the lock: until then a dead one's stands there."""
        found = self._read_beside()
        for _ in range(_TRIES_COUNT):
            if found is not None and _started_ticks(found.pid) == found.started_ticks:
                break
            time.sleep(_BETWEEN_TRIES_S)
            found = self._read_beside()
        return found

    def _read_beside(self) -> Holder | None:
        try:
            return msgspec.json.decode(self._beside.read_bytes(), type=Holder)
        except (OSError, msgspec.DecodeError):
            return None


def _started_ticks(pid: int) -> int:
    """0 when there is no such process."""
    found = identify(pid)
    return found.started_ticks if found is not None else 0


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_free(descriptor: int) -> bool:
    """A shared attempt, dropped at once."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True
