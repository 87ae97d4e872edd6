"""Room kept for the way back on a full disk.

The proof that the route has moved is a line that the proxy writes to its log, and a full disk takes no line. So a
file of 1 MiB is kept on the log's disk, and emptied when the disk has run full: some thousand lines, where a switch
needs a few. Whoever filled the disk may take that room too; then the switch is not seen, and says so.
"""

import contextlib
import os
from pathlib import Path

_SIZE_BYTES = 1024 * 1024
_FULL_BELOW_BYTES = 64 * 1024


def keep_reserve(path: Path) -> None:
    """Idempotent. A disk that has no room for it keeps none."""
    with contextlib.suppress(OSError):
        if path.exists() and path.stat().st_size == _SIZE_BYTES:
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _SIZE_BYTES)
        finally:
            os.close(descriptor)


def yield_reserve(path: Path) -> None:
    """Gives the room back when less than 64 KiB are free. 2 µs when there is more."""
    with contextlib.suppress(OSError):
        disk = os.statvfs(path)
        if disk.f_bavail * disk.f_frsize < _FULL_BELOW_BYTES:
            os.truncate(path, 0)
