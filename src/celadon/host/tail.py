"""Following a file that somebody else appends to and rotates.

Rotation by rename: the program keeps writing into the renamed file until it reopens its log, so that one is
read on beside the new one until the next rotation. Truncation (copytruncate): noticed by the size, and by
the last bytes before the position, since the file may have outgrown it again.
"""

import os
from collections.abc import Sequence
from pathlib import Path

_CHUNK_BYTES = 256 * 1024
_LINE_LIMIT_BYTES = 64 * 1024
_MARK_BYTES = 64


class _Open:
    """One open file and how far it was read."""

    def __init__(self, descriptor: int, *, position: int) -> None:
        self.descriptor = descriptor
        self.inode = os.fstat(descriptor).st_ino
        self.position = position
        self.rest = b""
        self.skipping = False
        self.overlong_count = 0
        self.mark = self._read_mark()

    def read_lines(self) -> list[bytes]:
        self._notice_truncation()
        lines: list[bytes] = []
        end = os.fstat(self.descriptor).st_size
        while self.position < end:
            chunk = os.pread(self.descriptor, min(_CHUNK_BYTES, end - self.position), self.position)
            if not chunk:
                break
            self.position += len(chunk)
            self._split(chunk, lines)
        self.mark = self._read_mark()
        return lines

    def _split(self, chunk: bytes, lines: list[bytes]) -> None:
        # A program that does not append leaves a hole of NUL bytes after a truncation; it may be as long as
        # the old log, so it must not count as the beginning of a line.
        text = self.rest + chunk if self.rest or self.skipping else chunk.lstrip(b"\0")
        *whole, self.rest = text.split(b"\n")
        if whole and self.skipping:
            del whole[0]
            self.skipping = False
        lines += [line for line in whole if len(line) <= _LINE_LIMIT_BYTES]
        self.overlong_count += sum(len(line) > _LINE_LIMIT_BYTES for line in whole)
        if len(self.rest) > _LINE_LIMIT_BYTES or self.skipping:
            self.overlong_count += not self.skipping
            self.skipping = True
            self.rest = b""

    def _notice_truncation(self) -> None:
        size = os.fstat(self.descriptor).st_size
        if size < self.position or self._read_mark() != self.mark:
            self.position = 0
            self.rest = b""
            self.skipping = False

    def _read_mark(self) -> bytes:
        start = max(0, self.position - _MARK_BYTES)
        return os.pread(self.descriptor, self.position - start, start)

    def close(self) -> None:
        os.close(self.descriptor)


class LineTail:
    """The whole lines appended to `path` since the last read. Memory is bounded by the chunk and by the limit
    of 64 KiB a line; longer ones are skipped and counted."""

    def __init__(self, path: Path, *, from_end: bool = True) -> None:
        self._path = path
        self._closed_overlong_count = 0
        self._files: list[_Open] = []
        current = self._open(at_end=from_end)
        if current:
            self._files.append(current)

    def read_lines(self) -> Sequence[bytes]:
        """Never blocks. A file that is not there has no lines yet."""
        self._follow_rotation()
        return [line for file in self._files for line in file.read_lines()]

    @property
    def overlong_count(self) -> int:
        return self._closed_overlong_count + sum(file.overlong_count for file in self._files)

    def close(self) -> None:
        while self._files:
            self._drop(self._files[0])

    def _follow_rotation(self) -> None:
        try:
            inode = self._path.stat().st_ino
        except OSError:
            return
        if self._files and self._files[-1].inode == inode:
            return
        current = self._open(at_end=False)
        if current is None:
            return
        self._files.append(current)
        if len(self._files) > 2:
            self._drop(self._files[0])

    def _open(self, *, at_end: bool) -> _Open | None:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        return _Open(descriptor, position=os.fstat(descriptor).st_size if at_end else 0)

    def _drop(self, file: _Open) -> None:
        self._closed_overlong_count += file.overlong_count
        self._files.remove(file)
        file.close()
