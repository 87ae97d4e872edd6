"""One holder at a time, and none after its death."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from celadon.host.lock import AppLock
from celadon.model.errors import BusyError
from celadon.model.names import OperationId


def acquire(path: Path, holder: str = "ada") -> AppLock:
    lock = AppLock(path)
    lock.acquire(holder=holder, operation=OperationId("op"), purpose="deploy")
    return lock


def test_a_second_attempt_is_told_who_holds_it(tmp_path: Path) -> None:
    """Busy names the holder, what for and since when."""
    lock = acquire(tmp_path / "lock")
    with pytest.raises(BusyError, match="ada holds the lock for a deploy since"):
        acquire(tmp_path / "lock", "bob")
    lock.release()
    acquire(tmp_path / "lock", "bob").release()


def test_nobody_holds_it_after_the_holder_died(tmp_path: Path) -> None:
    """SIGKILL leaves no stale lock, whatever stands in the file beside it."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        acquire(tmp_path / "lock")
        os.write(writable, b"held")
        signal.pause()
        os._exit(0)
    os.read(readable, 4)
    assert AppLock(tmp_path / "lock").holder() is not None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert AppLock(tmp_path / "lock").holder() is None
    acquire(tmp_path / "lock").release()


def test_a_deleted_lock_file_does_not_let_two_in(tmp_path: Path) -> None:
    """Whoever waits on the old inode does not count as holder."""
    path = tmp_path / "lock"
    first = acquire(path)
    path.unlink()
    second = acquire(path, "bob")
    with pytest.raises(BusyError):
        acquire(path, "eve")
    first.release()
    second.release()


hooks: list[Callable[[], None]] = []
"""Run once each, at the next flock(2): Python tells its audit hooks of the call before it makes it."""


def run_hooks(event: str, _: tuple[object, ...]) -> None:
    if event == "fcntl.flock" and hooks:
        hooks.pop()()


sys.addaudithook(run_hooks)


def test_a_lock_file_replaced_in_the_last_instant_is_not_taken_for_the_lock(tmp_path: Path) -> None:
    """Between open(2) and flock(2): whoever comes next must meet the same file."""
    path = tmp_path / "lock"

    def replace() -> None:
        path.unlink()
        path.touch()

    hooks.append(replace)
    lock = acquire(path)
    assert hooks == []
    with pytest.raises(BusyError):
        acquire(path, "bob")
    lock.release()


def test_of_many_at_once_exactly_one_gets_it(tmp_path: Path) -> None:
    """Twenty processes in the same instant, twenty times."""
    for round_number in range(20):
        path = tmp_path / f"lock{round_number}"
        go_read, go_write = os.pipe()
        told_read, told_write = os.pipe()
        pids = [fork_contender(path, go_read, go_write, told_write) for _ in range(20)]
        os.close(go_read)
        os.close(told_write)
        os.close(go_write)
        told = b"".join(os.read(told_read, 1) for _ in range(20))
        assert told.count(b"y") == 1
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def fork_contender(path: Path, go_read: int, go_write: int, told: int) -> int:
    """Starts when the parent closes its end of the `go` pipe; keeps the lock until it is ended."""
    pid = os.fork()
    if pid:
        return pid
    os.close(go_write)
    os.read(go_read, 1)
    try:
        acquire(path)
        os.write(told, b"y")
    except BusyError:
        os.write(told, b"n")
    signal.pause()
    os._exit(0)
