"""The pointer: one symbolic link, `live`, whose target names the slot.

    pointer/blue/   what the proxy reads while blue is live (address, marker, socket link)
    pointer/green/  the same for green
    pointer/.to-blue -> blue, pointer/.to-green -> green
    pointer/live -> blue | green

Moving it is one rename(2). The link that is renamed over `live` is a *hard link* to `.to-<slot>`, made
at install: it needs no new inode and no data block, so the pointer moves on a full disk too.
rename(2) does nothing when both names are the same inode and leaves the temporary name behind, which
is why it is unlinked afterwards.
"""

import os
from pathlib import Path

from celadon.host.checkpoint import reached
from celadon.host.files import sync_directory
from celadon.model.names import Slot

_LIVE = "live"
_NEXT = ".next.partial"
"""Worthless by name: the next operation removes what a death leaves of it."""


def prepare_pointer(directory: Path) -> None:
    """Make the slot directories and the links that a switch needs. Idempotent; moves nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    for slot in Slot:
        (directory / slot.value).mkdir(exist_ok=True)
        link = directory / f".to-{slot.value}"
        if not link.is_symlink():
            link.symlink_to(slot.value)
    sync_directory(directory)


def read_pointer(directory: Path) -> Slot | None:
    """The slot that `live` names, None when it is unset or names no slot."""
    try:
        return Slot(os.readlink(directory / _LIVE))
    except (OSError, ValueError):
        return None


def move_pointer(directory: Path, to: Slot) -> None:
    """Atomic and durable. 0.1 ms, the directory fsync 0.3 ms more. Raises OSError, having moved nothing."""
    next_link = directory / _NEXT
    next_link.unlink(missing_ok=True)
    os.link(directory / f".to-{to.value}", next_link, follow_symlinks=False)
    reached("pointer_written")
    next_link.rename(directory / _LIVE)
    reached("pointer_renamed")
    next_link.unlink(missing_ok=True)
    sync_directory(directory)


def live_path(directory: Path) -> Path:
    """The path that rendered proxy text refers to."""
    return directory / _LIVE
