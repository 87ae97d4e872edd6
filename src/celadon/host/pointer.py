"""The pointer: one symbolic link, `live`, whose target names the route.

    pointer/blue/      what the proxy reads while blue is live (address, marker, socket link)
    pointer/green/     the same for green
    pointer/green-05/  while blue is live and green gets 5 % of the traffic
    pointer/.to-blue -> blue, pointer/.to-green-05 -> green-05, one for each
    pointer/live -> blue | green | green-05 | …

Moving it is one rename(2). The link that is renamed over `live` is a *hard link* to `.to-<route>`, made
at install: it needs no new inode and no data block, so the pointer moves on a full disk too.
rename(2) does nothing when both names are the same inode and leaves the temporary name behind, which
is why it is unlinked afterwards.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from celadon.host.checkpoint import reached
from celadon.host.files import sync_directory
from celadon.model.names import Slot
from celadon.model.observed import WHOLE, Split

_LIVE = "live"
_NEXT = ".next.partial"
"""Worthless by name: the next operation removes what a death leaves of it."""


def prepare_pointer(directory: Path, *, percents: Iterable[int] = ()) -> None:
    """Make the directories and the links that a switch needs, for each slot whole and for each share in `percents`.
    Idempotent; moves nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    for slot in Slot:
        for percent in {*percents, WHOLE}:
            _prepare(directory, _name(slot, percent))
    sync_directory(directory)


def route_path(directory: Path, to: Slot, *, percent: int = WHOLE) -> Path:
    """The directory that the proxy reads while the route is this one."""
    return directory / _name(to, percent)


def read_pointer(directory: Path) -> Slot | None:
    """The slot that is the route, None when it is unset or names no slot."""
    named = _read(directory)
    if named is None:
        return None
    slot, percent = named
    return slot if percent == WHOLE else slot.other


def read_split(directory: Path) -> Split | None:
    """The share that the other slot gets, None when all goes to one."""
    named = _read(directory)
    if named is None or named[1] == WHOLE:
        return None
    return Split(slot=named[0], percent=named[1])


def is_pointed(directory: Path, to: Slot, *, percent: int = WHOLE) -> bool:
    return _read(directory) == (to, percent)


def move_pointer(directory: Path, to: Slot, *, percent: int = WHOLE) -> None:
    """Atomic and durable. 0.1 ms, the directory fsync 0.3 ms more. Raises OSError: `is_pointed` tells whether it was
    the fsync, after the move."""
    turn_pointer(directory, to, percent=percent)
    keep_pointer(directory)


def turn_pointer(directory: Path, to: Slot, *, percent: int = WHOLE) -> None:
    """Atomic; durable only once `keep_pointer` has returned. 0.1 ms. Raises OSError, having moved nothing."""
    name = _name(to, percent)
    next_link = directory / _NEXT
    next_link.unlink(missing_ok=True)
    os.link(directory / f".to-{name}", next_link, follow_symlinks=False)
    reached("pointer_written")
    next_link.rename(directory / _LIVE)
    reached("pointer_renamed")


def keep_pointer(directory: Path) -> None:
    """Raises OSError where a loss of power might bring the route before back."""
    (directory / _NEXT).unlink(missing_ok=True)
    sync_directory(directory)


def live_path(directory: Path) -> Path:
    """The path that rendered proxy text refers to."""
    return directory / _LIVE


def _prepare(directory: Path, name: str) -> None:
    (directory / name).mkdir(exist_ok=True)
    link = directory / f".to-{name}"
    if not link.is_symlink():
        link.symlink_to(name)


def _name(to: Slot, percent: int) -> str:
    return to.value if percent == WHOLE else f"{to.value}-{percent:02d}"


def _read(directory: Path) -> tuple[Slot, int] | None:
    try:
        word, dash, percent = os.readlink(directory / _LIVE).partition("-")
        return Slot(word), int(percent) if dash else WHOLE
    except (OSError, ValueError):
        return None
