"""What a log and its rotated siblings hold already, newest part first: whoever has little time gets what matters.

A part is a piece of one file, from a line's beginning to a line's end, read lazily in the file's own order. Nothing is
locked: a file that is rotated or removed meanwhile is read as it was when it was opened.
"""

import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_CHUNK_BYTES: Final = 256 * 1024
_LINE_LIMIT_BYTES: Final = 64 * 1024
_FIRST_PART_BYTES: Final = 8 * 1024 * 1024
_PART_LIMIT_BYTES: Final = 64 * 1024 * 1024


def read_past(
    path: Path, *, since_s: float, read_time: Callable[[bytes], float | None], is_over: Callable[[], bool]
) -> Iterator[Iterator[bytes]]:
    """Parts, up to and with the one that reaches back to `since_s`; lines over 64 KiB are left out. `is_over` is asked
    at every quarter of a megabyte, and ends the part and what would follow."""
    for file in _list_family(path):
        try:
            if file.stat().st_mtime <= since_s:
                return
            if file.suffix == ".gz":
                yield _read_compressed(file, is_over)
                continue
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            for start, end in _cut(descriptor):
                if is_over():
                    return
                yield _split(_read_chunks(descriptor, start, end), is_over)
                if _begins_before(descriptor, start, since_s, read_time):
                    return
        finally:
            os.close(descriptor)


def read_whole(path: Path) -> Iterator[bytes]:
    """All lines of one file, oldest first, compressed or not. Raises OSError, EOFError and zlib.error."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
        yield from _split(iter(lambda: stream.read(_CHUNK_BYTES), b""), lambda: False)


def _list_family(path: Path) -> list[Path]:
    """The log and what a rotation makes of it, newest first: `access.log.1`, `access.log-20261125.gz`, and Caddy's own
    `access-2026-11-25T02-25-55.002.log`. Copies by other names are not: their lines are the log's own. Nor is a file
    that is being compressed there twice."""
    rotated = re.compile(
        rf"{re.escape(path.name)}([.-]\d[\d.-]*)?(\.gz)?"
        rf"|{re.escape(path.stem)}-\d{{4}}(-\d\d){{2}}T\d\d(-\d\d){{2}}\.\d{{3}}{re.escape(path.suffix)}(\.gz)?"
    )
    dated: dict[Path, int] = {}
    with suppress(OSError):
        for file in path.parent.iterdir():
            if rotated.fullmatch(file.name) and file.is_file():
                with suppress(FileNotFoundError):
                    dated[file] = file.stat().st_mtime_ns
    single = [file for file in dated if file.suffix != ".gz" or file.with_suffix("") not in dated]
    return sorted(single, key=lambda file: dated[file], reverse=True)


def _cut(descriptor: int) -> Iterator[tuple[int, int]]:
    """From the end back: each part twice as long as the one before it, up to the limit."""
    end = os.fstat(descriptor).st_size
    length = _FIRST_PART_BYTES
    while end > 0:
        start = _find_line(descriptor, end - length, end)
        yield start, end
        end, length = start, min(2 * length, _PART_LIMIT_BYTES)


def _find_line(descriptor: int, at: int, end: int) -> int:
    """Where the first line begins that begins behind `at`; a line that is longer than a part belongs to it whole."""
    while at > 0:
        position = at - 1
        while position < end:
            chunk = os.pread(descriptor, min(_CHUNK_BYTES, end - position), position)
            found = chunk.find(b"\n")
            if found >= 0 and position + found + 1 < end:
                return position + found + 1
            if not chunk:
                break
            position += len(chunk)
        at -= _PART_LIMIT_BYTES
    return 0


def _begins_before(descriptor: int, start: int, since_s: float, read_time: Callable[[bytes], float | None]) -> bool:
    """By the first of its lines that tells a time."""
    for line in os.pread(descriptor, _CHUNK_BYTES, start).split(b"\n"):
        at_s = read_time(line)
        if at_s is not None:
            return at_s <= since_s
    return False


def _read_chunks(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        chunk = os.pread(descriptor, min(_CHUNK_BYTES, end - start), start)
        if not chunk:
            return
        start += len(chunk)
        yield chunk


def _read_compressed(file: Path, is_over: Callable[[], bool]) -> Iterator[bytes]:
    """From its beginning: there is no other way into it. What is damaged ends there."""
    with suppress(OSError, EOFError, zlib.error), gzip.open(file, "rb") as stream:
        yield from _split(iter(lambda: stream.read(_CHUNK_BYTES), b""), is_over)


def _split(chunks: Iterator[bytes], is_over: Callable[[], bool]) -> Iterator[bytes]:
    """Whole lines only: the last one of a log may still be written."""
    rest, skipping = b"", False
    for chunk in chunks:
        if is_over():
            return
        *whole, rest = (rest + chunk).split(b"\n")
        if whole and skipping:
            del whole[0]
            skipping = False
        yield from (line for line in whole if line and len(line) <= _LINE_LIMIT_BYTES)
        if skipping or len(rest) > _LINE_LIMIT_BYTES:
            rest, skipping = b"", True
