"""Following a file that somebody else appends to and rotates.

Rotation by rename: the program keeps writing into the renamed file until it reopens its log, so that one is
read on beside the new one until the next rotation. Truncation (copytruncate): noticed by the size, and by
the last bytes before the position, since the file may have outgrown it again; what was written between the last read
and the truncation is read from the copy, which is known by the same bytes at the same place. A copy or a renamed file
that was compressed or removed before the next read is lost.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from celadon.host.tail_position import FilePosition, TailPosition

_CHUNK_BYTES = 64 * 1024
_LINE_LIMIT_BYTES = 64 * 1024
_MARK_BYTES = 64
_BATCH_BYTES = 8 * 1024 * 1024


class _Open:
    """One open file and how far it was read."""

    def __init__(self, descriptor: int, *, position: int, skipping: bool = False) -> None:
        self.descriptor = descriptor
        self.inode = os.fstat(descriptor).st_ino
        self.position = position
        self.rest = b""
        self.skipping = skipping
        self.overlong_count = 0
        self.mark = self._read_mark()
        self._told = self._locate()

    @property
    def is_exhausted(self) -> bool:
        return self.position >= os.fstat(self.descriptor).st_size

    @property
    def is_truncated(self) -> bool:
        return os.fstat(self.descriptor).st_size < self.position or self._read_mark() != self.mark

    def read_blocks(self, limit_bytes: int) -> Iterator[bytes]:
        end = min(os.fstat(self.descriptor).st_size, self.position + limit_bytes)
        try:
            while self.position < end:
                chunk = os.pread(self.descriptor, min(_CHUNK_BYTES, end - self.position), self.position)
                if not chunk:
                    break
                self.position += len(chunk)
                yield self._cut(chunk)
        finally:
            self.mark = self._read_mark()
            self._told = self._locate()

    def restart(self) -> None:
        self.position = 0
        self.rest = b""
        self.skipping = False
        self.mark = b""
        self._told = self._locate()

    def tell(self) -> FilePosition:
        """Before the line that has no end yet, as of the last read: the file may have been truncated since."""
        return self._told

    def take_over(self, other: "_Open") -> None:
        """Go on in the middle of the line that `other` had begun."""
        self.rest = other.rest

    def _locate(self) -> FilePosition:
        offset_bytes = self.position - len(self.rest)
        mark = _read_before(self.descriptor, offset_bytes)
        return FilePosition(inode=self.inode, offset_bytes=offset_bytes, mark=mark, skipping=self.skipping)

    def _cut(self, chunk: bytes) -> bytes:
        # A program that does not append leaves a hole of NUL bytes after a truncation; it may be as long as
        # the old log, so it must not count as the beginning of a line.
        text = chunk if self.rest or self.skipping else chunk.lstrip(b"\0")
        end = text.rfind(b"\n") + 1
        whole = b"".join((self.rest, memoryview(text)[:end])) if end else b""  # one copy of it, not two
        self.rest = text[end:] if end else self.rest + text
        if whole and self.skipping:
            whole = whole[whole.index(b"\n") + 1 :]
            self.skipping = False
        if _has_overlong(whole):
            whole = self._drop_overlong(whole)
        if len(self.rest) > _LINE_LIMIT_BYTES or self.skipping:
            self.overlong_count += not self.skipping
            self.skipping = True
            self.rest = b""
        return whole

    def _drop_overlong(self, block: bytes) -> bytes:
        lines = split_block(block)
        kept = [line for line in lines if len(line) <= _LINE_LIMIT_BYTES]
        self.overlong_count += len(lines) - len(kept)
        return b"".join(line + b"\n" for line in kept)

    def _read_mark(self) -> bytes:
        return _read_before(self.descriptor, self.position)

    def close(self) -> None:
        os.close(self.descriptor)


class LineTail:
    """The whole lines appended to `path` since the last read, or since `resume_from`. Memory is bounded by the batch of
    8 MiB a read and by the limit of 64 KiB a line; longer ones are skipped and counted."""

    def __init__(self, path: Path, *, from_end: bool = True, resume_from: TailPosition | None = None) -> None:
        self._path = path
        self._closed_overlong_count = 0
        self._files: list[_Open] = []
        if resume_from is not None:
            self._resume(resume_from)
            return
        current = self._open(path, position=None if from_end else 0)
        if current:
            self._files.append(current)

    def read_lines(self) -> Sequence[bytes]:
        """Never blocks. A file that is not there has no lines yet. At most 8 MiB of log a call; the next goes on."""
        return [*chain.from_iterable(map(split_block, self.read_blocks()))]

    def read_blocks(self) -> Iterator[bytes]:
        """What read_lines gives, as it comes, many lines at a time, each with its end: lines that are gone through a
        block at a time are never all in memory. To be gone through to its end."""
        self._follow_rotation()
        self._follow_truncation()
        left_bytes = _BATCH_BYTES
        for file in self._files:
            before = file.position
            yield from file.read_blocks(left_bytes)
            left_bytes -= file.position - before
            if left_bytes <= 0:
                break
        self._drop_old()

    @property
    def position(self) -> TailPosition:
        """After the last line that was handed over. A reader that resumes there neither loses nor repeats a line."""
        return TailPosition(files=tuple(file.tell() for file in self._files))

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
        current = self._open(self._path, position=0)
        if current is not None:
            self._files.append(current)

    def _follow_truncation(self) -> None:
        for index, file in reversed([*enumerate(self._files)]):
            if not file.is_truncated:
                continue
            told = FilePosition(inode=file.inode, offset_bytes=file.position, mark=file.mark, skipping=file.skipping)
            copy = self._open_copy(told)
            if copy is not None:
                copy.take_over(file)
                self._files.insert(index, copy)
            file.restart()

    def _drop_old(self) -> None:
        """One renamed file is kept beside the current one; an older one goes when all of it was read."""
        while len(self._files) > 2 and self._files[0].is_exhausted:
            self._drop(self._files[0])

    def _resume(self, position: TailPosition) -> None:
        for told in position.files:
            file = self._open_told(told)
            if file is not None:
                self._files.append(file)
        self._follow_rotation()

    def _open_told(self, told: FilePosition) -> _Open | None:
        """The file itself, wherever it was moved to; or the copy of one that was truncated meanwhile."""
        return self._find(told, same_inode=True) or self._open_copy(told)

    def _open_copy(self, told: FilePosition) -> _Open | None:
        return self._find(told, same_inode=False) if told.mark else None

    def _find(self, told: FilePosition, *, same_inode: bool) -> _Open | None:
        for path in self._list_family():
            file = self._open(path, position=told.offset_bytes, skipping=told.skipping)
            if file is None:
                continue
            if (file.inode == told.inode) is same_inode and file.mark == told.mark and not file.is_truncated:
                return file
            file.close()
        return None

    def _list_family(self) -> list[Path]:
        """The log and what a rotation makes of it (`access.log.1`, `access.log-20261125`), newest first."""
        dated: dict[Path, int] = {}
        with suppress(OSError):
            for path in self._path.parent.iterdir():
                if path.name.startswith(self._path.name) and path.is_file():
                    with suppress(FileNotFoundError):
                        dated[path] = path.stat().st_mtime_ns
        return sorted(dated, key=lambda path: dated[path], reverse=True)

    def _open(self, path: Path, *, position: int | None, skipping: bool = False) -> _Open | None:
        """`position` None: at the end."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        at = os.fstat(descriptor).st_size if position is None else position
        return _Open(descriptor, position=at, skipping=skipping)

    def _drop(self, file: _Open) -> None:
        self._closed_overlong_count += file.overlong_count
        self._files.remove(file)
        file.close()


def split_block(block: bytes) -> Sequence[bytes]:
    """Its lines, without their ends."""
    *lines, _ = block.split(b"\n")
    return lines


def _read_before(descriptor: int, offset_bytes: int) -> bytes:
    start = max(0, offset_bytes - _MARK_BYTES)
    return os.pread(descriptor, offset_bytes - start, start)


def _has_overlong(text: bytes) -> bool:
    """Whether a line within may be longer than the limit; asked of the text, since asking each line would cost."""
    begin = 0
    while begin + _LINE_LIMIT_BYTES < len(text):
        begin = text.rfind(b"\n", begin, begin + _LINE_LIMIT_BYTES + 1) + 1
        if not begin:
            return True
    return False
