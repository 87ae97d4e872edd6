"""Where a release's files come from: one function a kind."""

import fnmatch
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from celadon.drivers.releases.archive import unpack_archive
from celadon.host.commands import run_command
from celadon.model.errors import StepError
from celadon.model.release import Source, SourceKind

_GIT_TIMEOUT_S = 300.0

Fetch = Callable[[Source, Path, Sequence[str], Callable[[], None]], None]


def fetch_source(source: Source, tree: Path, *, exclude: Sequence[str], reached: Callable[[], None]) -> None:
    """Fill the empty directory `tree`. `reached` is called in the middle. Raises StepError."""
    FETCHES[source.kind](source, tree, exclude, reached)


def _copy_directory(source: Source, tree: Path, exclude: Sequence[str], reached: Callable[[], None]) -> None:
    root = Path(source.location)
    if not root.is_dir():
        raise StepError(f"{root} is not a directory", code="source_missing", next_command="celadon config")

    def ignore(directory: str, names: list[str]) -> set[str]:
        inside = Path(directory).relative_to(root)
        return {name for name in names if _is_excluded(str(inside / name), exclude)}

    try:
        shutil.copytree(root, tree, symlinks=True, ignore=ignore, dirs_exist_ok=True, copy_function=_copy_file)
    except (OSError, shutil.Error) as error:
        raise StepError(f"copy {root}: {error}", code="source_unreadable", next_command="celadon config") from error
    reached()


def _copy_file(source: str, target: str) -> str:
    """Regular files only: a socket or fifo in a work tree is no part of a release."""
    if os.path.isfile(source):  # noqa: PTH113  called for every file
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    return target


def _is_excluded(path: str, patterns: Sequence[str]) -> bool:
    """A pattern without a slash matches a name anywhere, one with a slash the path from the root, which it may begin
    with."""
    name = path.rpartition("/")[2]
    return any(
        fnmatch.fnmatch(path if "/" in pattern else name, pattern.removeprefix("/").rstrip("/")) for pattern in patterns
    )


def _archive_commit(source: Source, tree: Path, _: Sequence[str], reached: Callable[[], None]) -> None:
    """`git archive` of the exact commit: no work tree state, no `.git`, export-ignore honoured."""
    packed = tree.with_name("source.tar")
    git = ["git", "-C", source.location]
    done = run_command(
        [*git, "archive", "--format=tar", f"--output={packed}", source.commit or ""], timeout_s=_GIT_TIMEOUT_S
    )
    if not done.ok:
        raise StepError(
            f"git archive {source.commit} in {source.location}: {done.output}",
            code="ref_unknown",
            next_command=f"git -C {source.location} status",
        )
    unpack_archive(packed, tree, reached=reached)
    packed.unlink()


def _unpack_tar(source: Source, tree: Path, _: Sequence[str], reached: Callable[[], None]) -> None:
    unpack_archive(Path(source.location), tree, reached=reached)


def _refuse_adopted(source: Source, _: Path, __: Sequence[str], ___: Callable[[], None]) -> None:
    raise StepError(
        f"what ran before celadon ({source.location}) cannot be built",
        code="adopted_not_startable",
        next_command="celadon releases",
    )


FETCHES: Mapping[SourceKind, Fetch] = MappingProxyType(
    {
        SourceKind.DIRECTORY: _copy_directory,
        SourceKind.GIT: _archive_commit,
        SourceKind.TAR: _unpack_tar,
        SourceKind.ADOPTED: _refuse_adopted,
    }
)
