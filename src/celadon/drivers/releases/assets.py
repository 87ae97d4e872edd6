"""The union of the last releases' assets: what a page of any of them asks for is found in one directory.

A file is a second name of the release's own where the proxy's user may read that, else a copy. A name that means
different bytes in two releases is in no union: it is no hashed asset, and the release that has the traffic answers it.
"""

import filecmp
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.drivers.releases.digest import list_files, read_digests
from celadon.events import AssetsGathered
from celadon.host.files import sync_directory, write_atomic
from celadon.host.layout import PARTIAL, Layout
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, render_release_label
from celadon.model.settings import AssetSettings

_OTHERS_READ = 0o004
_SHOWN_COUNT = 5


class _Asset(Struct, frozen=True):
    """`digest` is of its content."""

    path: str
    digest: str


class AssetUnion:
    """Implements contracts.assets.Assets. `list_numbers` gives the whole releases on disk, ascending."""

    def __init__(
        self, layout: Layout, settings: AssetSettings, *, list_numbers: Callable[[], Sequence[ReleaseNumber]]
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._list_numbers = list_numbers

    def gather(self, number: ReleaseNumber, *, protected: Collection[ReleaseNumber]) -> AssetsGathered:
        own = self._directory_of(number)
        if not own.is_dir():
            raise StepError(
                f"{render_release_label(number)} has no {self._settings.path}, which `assets.path` names",
                code="assets_missing",
                next_command="celadon config",
            )
        newest = [each for each in self._list_numbers() if each != number][::-1]
        chosen = sorted({number, *protected, *newest[: self._settings.keep_count - 1]})
        wanted, differing = _unite([self._list(each) for each in chosen])
        union = self._layout.assets / self._settings.url.strip("/")
        _make_directory(union)
        added_count = sum(_ensure(union / name, Path(source)) for name, source in wanted.items())
        removed_count = _remove_others(union, set(wanted))
        for directory in (self._layout.home, self._layout.assets, *_list_directories(self._layout.assets)):
            sync_directory(directory)
        return AssetsGathered(
            directory=str(self._layout.assets),
            releases=tuple(chosen),
            files_count=len(wanted),
            added_count=added_count,
            removed_count=removed_count,
            differing_count=len(differing),
            differing=tuple(sorted(differing)[:_SHOWN_COUNT]),
        )

    def _list(self, number: ReleaseNumber) -> dict[str, _Asset]:
        """By the name below the directory. Plain files alone: a link may lead out of the release. An older one may have
        had no assets."""
        if not self._directory_of(number).is_dir():
            return {}
        release, above = self._layout.release(number), f"{self._settings.path}/"
        files = read_digests(release) or list_files(release / "tree")
        return {
            name.removeprefix(above): _Asset(f"{release}/tree/{name}", told.rpartition(" ")[2])
            for name, told in files.items()
            if name.startswith(above) and told[0].isdigit()
        }

    def _directory_of(self, number: ReleaseNumber) -> Path:
        return self._layout.release(number) / "tree" / self._settings.path


def _unite(listed: Collection[Mapping[str, _Asset]]) -> tuple[dict[str, str], set[str]]:
    """Name → the oldest release's file, which is most likely there; and the names that are not the same everywhere."""
    wanted: dict[str, _Asset] = {}
    differing: set[str] = set()
    for assets in listed:
        for name, asset in assets.items():
            if wanted.setdefault(name, asset).digest != asset.digest:
                differing.add(name)
    return {name: asset.path for name, asset in wanted.items() if name not in differing}, differing


def _ensure(target: Path, source: Path) -> int:
    """1 when it was not there."""
    try:
        is_it = target.samefile(source)
    except FileNotFoundError:
        _make_directory(target.parent)
        _put(target, source)
        return 1
    if not is_it:
        _put(target, source)
    return 0


def _put(target: Path, source: Path) -> None:
    if not _link(target, source) and not (target.exists() and filecmp.cmp(target, source, shallow=False)):
        write_atomic(target, source.read_bytes(), mode=0o644)


def _link(target: Path, source: Path) -> bool:
    if not source.stat().st_mode & _OTHERS_READ:
        return False
    temporary = target.with_name(f".{target.name}{PARTIAL}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(source)
    except OSError:
        return False
    temporary.rename(target)
    return True


def _make_directory(directory: Path) -> None:
    """For the proxy's user to enter, whatever our umask."""
    for each in reversed([each for each in (directory, *directory.parents) if not each.exists()]):
        each.mkdir()
        each.chmod(0o755)


def _list_directories(directory: Path) -> Iterator[Path]:
    return (Path(parent) / name for parent, names, _ in os.walk(directory) for name in names)


def _remove_others(union: Path, wanted: Collection[str]) -> int:
    removed_count = 0
    for parent, _, names in os.walk(union, topdown=False):
        above = "" if parent == str(union) else f"{os.path.relpath(parent, union)}/"
        for name in names:
            if f"{above}{name}" not in wanted:
                Path(parent, name).unlink()
                removed_count += 1
        if above and not os.listdir(parent):
            Path(parent).rmdir()
    return removed_count
