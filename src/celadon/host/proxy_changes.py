"""Changes on their way into the repository: written down while the app's lock is held, committed after it.

    proxy-changes/000007.json   a change that is not committed yet
    proxy-changes/last.json     the last one that is
    proxy-changes/problem       why the last commit failed, in words

The newest of them is what celadon wrote last, whether or not there is a git to tell it to. Nothing here is synced to
the disk, which would cost what a rollback must not: what a power cut takes is found as a difference and written down
again.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from celadon.host.layout import Layout
from celadon.model.change import Change

_LAST = "last.json"
_PROBLEM = "problem"
_KEPT_COUNT = 200
"""Waiting changes at most: without git they would fill the disk."""


def read_last(layout: Layout) -> Change | None:
    """What celadon wrote last; None before the first install and when nothing of it can be read. 0.1 ms."""
    for path in [*reversed(_list_waiting(layout)), layout.proxy_changes / _LAST]:
        change = _read(path)
        if change is not None:
            return change
    return None


def has_waiting(layout: Layout) -> bool:
    return bool(_list_waiting(layout))


def add_change(layout: Layout, change: Change) -> None:
    """The caller holds the app's lock. 0.2 ms. Raises OSError."""
    directory = layout.proxy_changes
    directory.mkdir(mode=0o700, exist_ok=True)
    waiting = _list_waiting(layout)
    number = int(waiting[-1].stem) + 1 if waiting else 1
    temporary = directory / ".change.partial"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.encode(change))
    temporary.rename(directory / f"{number:06}.json")
    for old in waiting[:-_KEPT_COUNT]:
        old.unlink(missing_ok=True)


def read_waiting(layout: Layout) -> Sequence[tuple[Path, Change]]:
    """Oldest first. What cannot be read is removed: a power cut left it."""
    found = []
    for path in _list_waiting(layout):
        change = _read(path)
        if change is None:
            path.unlink(missing_ok=True)
        else:
            found.append((path, change))
    return found


def settle_changes(layout: Layout, paths: Sequence[Path]) -> None:
    """They are committed; the newest stays as the last. A death in between leaves the newest for the next time, by
    which it is known how far the commit had come."""
    for path in paths[:-1]:
        path.unlink(missing_ok=True)
    if paths:
        paths[-1].rename(layout.proxy_changes / _LAST)


def write_problem(layout: Layout, text: str) -> None:
    """Empty: there is none."""
    path = layout.proxy_changes / _PROBLEM
    with contextlib.suppress(OSError):
        if text:
            path.write_text(text)
        else:
            path.unlink(missing_ok=True)


def read_problem(layout: Layout) -> str:
    try:
        return (layout.proxy_changes / _PROBLEM).read_text()
    except OSError:
        return ""


def take_turn(layout: Layout, *, waits: bool) -> int | None:
    """The lock of the repository: a descriptor, which forks share. None: somebody else has it."""
    descriptor = os.open(layout.proxy_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def having_turn(layout: Layout) -> Iterator[None]:
    """Waits for whoever commits: some 50 ms, and 30 s for each git that hangs."""
    descriptor = take_turn(layout, waits=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _list_waiting(layout: Layout) -> list[Path]:
    try:
        names = os.listdir(layout.proxy_changes)
    except FileNotFoundError:
        return []
    return [layout.proxy_changes / name for name in sorted(names) if name[:-5].isdecimal() and name.endswith(".json")]


def _read(path: Path) -> Change | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Change)
    except (OSError, msgspec.DecodeError):
        return None
