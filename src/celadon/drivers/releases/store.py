"""Releases on disk: read, verified, marked, pruned. How one is made stands in making.py."""

import contextlib
import os
import re
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec

from celadon.contracts.images import Images, NoImages
from celadon.events import Event
from celadon.host.environment import mask_env
from celadon.host.files import sync_directory, write_atomic
from celadon.host.layout import COMPOSE, PARTIAL, Layout
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, render_release_label
from celadon.model.release import Fate, Manifest, Release, Source
from celadon.model.settings import Settings

_LABEL = re.compile(r"r([1-9][0-9]*)\Z")


class ReleaseStore:
    """`owner` is the system user that a tree belongs to, when we are root. `images` are those of a container runner."""

    def __init__(self, layout: Layout, *, owner: str | None, images: Images = NoImages()) -> None:  # noqa: B008  it has no state
        self._layout = layout
        self._owner = owner
        self._images = images

    def make(
        self,
        number: ReleaseNumber,
        source: Source,
        *,
        settings: Settings,
        lead: str,
        live: ReleaseNumber | None,
        tell: Callable[[Event], None],
        reached: Callable[[str], None],
        cancelled: Callable[[], bool],
    ) -> Release:
        from celadon.drivers.releases.making import ReleaseMaking  # 10 ms, which a rollback does not need

        self._sweep()
        self._images.keep_only(self.numbers())
        newest = max(self.numbers(), default=None)
        making = ReleaseMaking(self._layout, settings, owner=self._owner, newest=newest, images=self._images)
        making.make(number, source, lead=lead, tell=tell, reached=reached, cancelled=cancelled)
        release = self.read(number)
        self._compare(release, live, tell=tell)
        return release

    def _compare(self, release: Release, live: ReleaseNumber | None, *, tell: Callable[[Event], None]) -> None:
        """A live one that cannot be read, or is no release, is compared with nothing."""
        from celadon.drivers.releases.compare import compare_releases

        with contextlib.suppress(StepError, OSError, ValueError):
            if live is not None:
                tell(compare_releases(release, self.read(live)))

    def read(self, number: ReleaseNumber) -> Release:
        path = self._layout.release(number)
        label = render_release_label(number)
        try:
            manifest = msgspec.json.decode((path / "manifest.json").read_bytes(), type=Manifest)
        except FileNotFoundError as error:
            raise StepError(
                f"release {label} is not on disk", code="release_missing", next_command="celadon releases"
            ) from error
        except (OSError, msgspec.DecodeError) as error:
            raise StepError(
                f"the manifest of {label} cannot be read: {error}",
                code="release_damaged",
                next_command="celadon releases",
            ) from error
        return Release(number=number, path=path, manifest=manifest, fate=_read_fate(path))

    def numbers(self) -> Sequence[ReleaseNumber]:
        if not self._layout.releases.is_dir():
            return ()
        found = (_LABEL.match(name) for name in os.listdir(self._layout.releases))
        return tuple(sorted(ReleaseNumber(int(match.group(1))) for match in found if match))

    def verify(self, release: Release) -> str | None:
        from celadon.drivers.releases.digest import digest_of, digest_text, find_difference, list_files, read_digests

        try:
            env_digest = digest_text((release.path / "env").read_bytes())
            found = list_files(release.tree)
        except OSError as error:
            return f"{error.filename} ({error.strerror})"
        if env_digest != release.manifest.env_digest:
            return "env"
        if digest_of(found) == release.manifest.tree_digest:
            image = release.manifest.image
            return None if image is None or self._images.has(image) else f"image {image}"
        return f"tree/{find_difference(read_digests(release.path), found) or '?'}"

    def keep_output(self, release: Release, lines: Sequence[str]) -> Path:
        path = release.path / "release.log"
        write_atomic(path, "".join(f"{line}\n" for line in lines), mode=0o600)
        return path

    def mark(self, release: Release, fate: Fate) -> None:
        if _read_fate(release.path) is not None:
            return
        if fate is Fate.FAILED:
            mask_env(release.path / "env")
            (release.path / COMPOSE).unlink(missing_ok=True)
        write_atomic(release.path / fate.value, f"{time.time():.0f}\n")

    def prune(self, *, keep_count: int, protected: Collection[ReleaseNumber]) -> Sequence[ReleaseNumber]:
        self._sweep()
        numbers = self.numbers()
        blessed = [number for number in numbers if _read_fate(self._layout.release(number)) is Fate.BLESSED]
        kept = {*numbers[-keep_count:], *protected, *blessed[-1:]}
        gone = [number for number in numbers if number not in kept]
        for number in gone:
            self._remove(self._layout.release(number))
        self._images.keep_only(self.numbers())
        return tuple(gone)

    def _sweep(self) -> None:
        """What is `.partial` was never whole; what failed was kept for inspection until now."""
        self._layout.releases.mkdir(parents=True, exist_ok=True)
        for path in self._layout.releases.glob(f"*{PARTIAL}"):
            _remove_tree(path)
        for mark in self._layout.releases.glob(f"r*/{Fate.FAILED}"):
            self._remove(mark.parent)

    def _remove(self, path: Path) -> None:
        """Renamed first: a removal that dies half-way leaves something worthless by name."""
        doomed = path.with_name(path.name + PARTIAL)
        path.rename(doomed)
        _remove_tree(doomed)
        sync_directory(path.parent)


def _remove_tree(path: Path) -> None:
    import shutil  # 5 ms, which a rollback does not need

    shutil.rmtree(path)


def _read_fate(path: Path) -> Fate | None:
    return next((fate for fate in Fate if (path / fate.value).exists()), None)
