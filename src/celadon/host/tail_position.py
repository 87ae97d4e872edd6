"""How far a log was read, kept so that a later process goes on there."""

from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.host.files import write_atomic


class FilePosition(Struct, frozen=True, kw_only=True):
    """`mark`: the last bytes before `offset_bytes`, which tell the file from one that took its inode or its place.
    `skipping`: the offset is within a line that is too long."""

    inode: int
    offset_bytes: int
    mark: bytes
    skipping: bool = False


class TailPosition(Struct, frozen=True, kw_only=True):
    """Oldest file first; none where the log was not there yet."""

    files: tuple[FilePosition, ...] = ()


def write_position(path: Path, position: TailPosition) -> None:
    """Durable, and never a part of it."""
    write_atomic(path, msgspec.json.encode(position), mode=0o600)


def read_position(path: Path) -> TailPosition | None:
    """None where there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=TailPosition)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
