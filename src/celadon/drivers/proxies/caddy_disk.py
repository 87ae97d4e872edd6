"""Texts of Caddy's configuration on disk, byte for byte: Python's own text files would change a line's end."""

import os
from pathlib import Path

from celadon.host.files import write_atomic


def read_exactly(path: Path) -> str:
    """Raises OSError."""
    return path.read_bytes().decode(errors="surrogateescape")


def read_text(path: Path) -> str | None:
    try:
        return read_exactly(path)
    except OSError:
        return None


def replace_text(path: Path, text: str) -> None:
    """A file that is there stays its owner's, with its mode."""
    found = path.stat() if path.exists() else None
    write_atomic(path, text.encode(errors="surrogateescape"), mode=0o644 if found is None else found.st_mode & 0o777)
    if found is not None and (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(path, found.st_uid, found.st_gid)
