"""Unpacking a tar that somebody else made. Python 3.11 has no data filter, and its rules would not be ours anyway.

Refused, before anything of the member is written: absolute paths, `..`, links whose target leaves the tree, hard
links to what is not yet unpacked as a plain file, members that go through a link, devices, fifos, names that are no
text, and archives that grow beyond their bounds. Set-user-id and the like are dropped with everything beyond 0755.
"""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from msgspec import Struct

from celadon.model.errors import StepError

_CHUNK_BYTES = 1 << 20


class Bounds(Struct, frozen=True, kw_only=True):
    """`ratio` is unpacked to packed, looked at from 64 MiB unpacked on."""

    members_count: int = 200_000
    total_bytes: int = 4 << 30
    ratio: int = 200


def unpack_archive(archive: Path, tree: Path, *, reached: Callable[[], None], bounds: Bounds = Bounds()) -> None:  # noqa: B008  a frozen value
    """`tree` exists and is empty. Raises StepError (`archive_unsafe`, `source_missing`). `reached` is called after
    the first member."""
    try:
        with tarfile.open(archive, "r:*") as stream:
            _Unpacking(stream, tree, archive=archive, bounds=bounds).run(reached)
    except FileNotFoundError as error:
        raise StepError(f"{archive} is not there", code="source_missing", next_command="celadon config") from error
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise StepError(
            f"{archive} is no readable tar archive: {error}", code="archive_unsafe", next_command=f"file {archive}"
        ) from error


class _Unpacking:
    def __init__(self, stream: tarfile.TarFile, tree: Path, *, archive: Path, bounds: Bounds) -> None:
        self._stream = stream
        self._tree = tree
        self._archive = archive
        self._packed_bytes = max(archive.stat().st_size, 1)
        self._bounds = bounds
        self._total_bytes = 0
        self._files: set[PurePosixPath] = set()
        self._links: set[PurePosixPath] = set()

    def run(self, reached: Callable[[], None]) -> None:
        for count, member in enumerate(self._stream):
            if count >= self._bounds.members_count:
                raise self._unsafe(member, f"is member number {count + 1}; {self._bounds.members_count} are allowed")
            self._unpack(member)
            if count == 0:
                reached()

    def _unpack(self, member: tarfile.TarInfo) -> None:
        path = self._check_path(member)
        if path == PurePosixPath():
            return
        match member.type:
            case tarfile.DIRTYPE:
                self._refuse_replacing(member, path)
                (self._tree / path).mkdir(parents=True, exist_ok=True)
            case tarfile.SYMTYPE:
                self._make_link(member, path)
            case tarfile.LNKTYPE:
                self._copy_hard_link(member, path)
            case tarfile.REGTYPE | tarfile.AREGTYPE | tarfile.CONTTYPE:
                self._write_file(member, path)
            case _:
                raise self._unsafe(member, "is neither a file, a directory nor a link")

    def _check_path(self, member: tarfile.TarInfo) -> PurePosixPath:
        name = member.name
        path = PurePosixPath(name)
        if not name or "\0" in name or path.is_absolute() or ".." in path.parts or len(name.encode()) > 4000:
            raise self._unsafe(member, "does not stay inside the archive")
        for parent in path.parents:
            if parent in self._links or parent in self._files:
                raise self._unsafe(member, f"goes through {parent}, which is no directory")
        return path

    def _refuse_replacing(self, member: tarfile.TarInfo, path: PurePosixPath) -> None:
        if path in self._links or path in self._files:
            raise self._unsafe(member, "comes twice")

    def _make_link(self, member: tarfile.TarInfo, path: PurePosixPath) -> None:
        self._make_room(member, path)
        target = PurePosixPath(member.linkname)
        resolved = os.path.normpath(path.parent / target)
        if target.is_absolute() or resolved == ".." or resolved.startswith("../"):
            raise self._unsafe(member, f"is a link to {member.linkname}, outside")
        (self._tree / path).symlink_to(member.linkname)
        self._links.add(path)

    def _copy_hard_link(self, member: tarfile.TarInfo, path: PurePosixPath) -> None:
        self._make_room(member, path)
        source = PurePosixPath(member.linkname)
        if source not in self._files:
            raise self._unsafe(member, f"is a hard link to {member.linkname}, which is no file unpacked before it")
        content = self._tree / source
        self._count(member, content.stat().st_size)
        (self._tree / path).write_bytes(content.read_bytes())
        (self._tree / path).chmod(content.stat().st_mode & 0o755)
        self._files.add(path)

    def _write_file(self, member: tarfile.TarInfo, path: PurePosixPath) -> None:
        self._make_room(member, path)
        content = self._stream.extractfile(member)
        if content is None:
            raise self._unsafe(member, "has no content")
        descriptor = os.open(self._tree / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            while chunk := content.read(_CHUNK_BYTES):
                self._count(member, len(chunk))
                out.write(chunk)
        (self._tree / path).chmod((member.mode & 0o755) | 0o600)
        self._files.add(path)

    def _make_room(self, member: tarfile.TarInfo, path: PurePosixPath) -> None:
        self._refuse_replacing(member, path)
        if (self._tree / path).is_dir():
            raise self._unsafe(member, "comes twice")
        (self._tree / path).parent.mkdir(parents=True, exist_ok=True)

    def _count(self, member: tarfile.TarInfo, size_bytes: int) -> None:
        self._total_bytes += size_bytes
        if self._total_bytes > self._bounds.total_bytes:
            raise self._unsafe(member, f"takes the archive beyond {self._bounds.total_bytes} bytes")
        if self._total_bytes > 64 << 20 and self._total_bytes > self._packed_bytes * self._bounds.ratio:
            raise self._unsafe(member, f"unpacks to more than {self._bounds.ratio} times its packed size")

    def _unsafe(self, member: tarfile.TarInfo, what: str) -> StepError:
        told = f"the archive is refused: {member.name!r} {what}"
        return StepError(told, code="archive_unsafe", next_command=f"tar -tvf {self._archive}")
