"""Texts of Caddy's configuration on disk, byte for byte: Python's own text files would change a line's end."""

from pathlib import Path

from celadon.host import files
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
    if path.exists():
        files.replace_text(path, text)
    else:
        write_atomic(path, text.encode(errors="surrogateescape"))
