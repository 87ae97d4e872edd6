"""Releases on disk: made under a worthless name, synced, renamed, and never changed again."""

import os
import pwd
import re
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from celadon.drivers.releases.build import Builder
from celadon.drivers.releases.digest import digest_of, digest_text, find_difference, list_files
from celadon.drivers.releases.sources import fetch_source
from celadon.events import DependenciesReused, Event, ReleaseMade
from celadon.host.environment import parse_env, read_env, render_env
from celadon.host.files import sync_directory, write_atomic
from celadon.host.layout import Layout
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, render_release_label
from celadon.model.release import Fate, Manifest, Release, Source
from celadon.model.settings import Settings

_LABEL = re.compile(r"r([1-9][0-9]*)\Z")
_PARTIAL = ".partial"


class ReleaseStore:
    """`owner` is the system user that a tree belongs to, when we are root."""

    def __init__(self, layout: Layout, *, owner: str | None) -> None:
        self._layout = layout
        self._owner = owner

    def make(
        self,
        number: ReleaseNumber,
        source: Source,
        *,
        settings: Settings,
        lead: str,
        tell: Callable[[Event], None],
        reached: Callable[[str], None],
        cancelled: Callable[[], bool],
    ) -> Release:
        began = time.monotonic()
        final = self._layout.release(number)
        self._sweep()
        partial = final.with_name(final.name + _PARTIAL)
        tree = partial / "tree"
        tree.mkdir(parents=True)
        fetch_source(source, tree, exclude=settings.source.exclude, reached=lambda: reached("mid_unpack"))
        reached("unpacked")
        variables = _read_environment(settings)
        write_atomic(partial / "env", render_env(variables), mode=0o600)
        self._link_shared(tree, settings.shared)
        self._own(tree)
        try:
            self._build(tree, partial, settings, variables=variables, tell=tell, cancelled=cancelled)
        except StepError:
            _mask(partial / "env")
            raise
        files = list_files(tree)
        manifest = Manifest(
            app=settings.app,
            number=number,
            source=source,
            tree_digest=digest_of(files),
            env_digest=digest_text((partial / "env").read_bytes()),
            config_digest=digest_text(msgspec.json.encode(settings)),
            built_at=time.time(),
            built_by=lead,
            build_s=time.monotonic() - began,
            settings=settings,
        )
        write_atomic(partial / "files.json", msgspec.json.encode(files))
        write_atomic(partial / "manifest.json", msgspec.json.encode(manifest), mode=0o600)
        _sync_tree(partial)
        partial.rename(final)
        sync_directory(final.parent)
        reached("renamed")
        tell(
            ReleaseMade(
                release=number,
                source=source,
                tree_digest=manifest.tree_digest,
                files_count=len(files),
                bytes_count=_count_bytes(final / "tree"),
                duration_s=time.monotonic() - began,
            )
        )
        return self.read(number)

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
            raise StepError(f"the manifest of {label} cannot be read: {error}", code="release_damaged") from error
        return Release(number=number, path=path, manifest=manifest, fate=_read_fate(path))

    def numbers(self) -> Sequence[ReleaseNumber]:
        if not self._layout.releases.is_dir():
            return ()
        found = (_LABEL.match(name) for name in os.listdir(self._layout.releases))
        return tuple(sorted(ReleaseNumber(int(match.group(1))) for match in found if match))

    def verify(self, release: Release) -> str | None:
        try:
            env_digest = digest_text((release.path / "env").read_bytes())
            found = list_files(release.tree)
        except OSError as error:
            return f"{error.filename} ({error.strerror})"
        if env_digest != release.manifest.env_digest:
            return "env"
        if digest_of(found) == release.manifest.tree_digest:
            return None
        return f"tree/{find_difference(_read_files(release.path), found) or '?'}"

    def mark(self, release: Release, fate: Fate) -> None:
        if _read_fate(release.path) is not None:
            return
        if fate is Fate.FAILED:
            _mask(release.path / "env")
        write_atomic(release.path / fate.value, f"{time.time():.0f}\n")

    def prune(self, *, keep_count: int, protected: Collection[ReleaseNumber]) -> Sequence[ReleaseNumber]:
        self._sweep()
        numbers = self.numbers()
        blessed = [number for number in numbers if _read_fate(self._layout.release(number)) is Fate.BLESSED]
        kept = {*numbers[-keep_count:], *protected, *blessed[-1:]}
        gone = [number for number in numbers if number not in kept]
        for number in gone:
            self._remove(self._layout.release(number))
        return tuple(gone)

    def _sweep(self) -> None:
        """What is `.partial` was never whole; what failed was kept for inspection until now."""
        self._layout.releases.mkdir(parents=True, exist_ok=True)
        for path in self._layout.releases.glob(f"*{_PARTIAL}"):
            shutil.rmtree(path)
        for mark in self._layout.releases.glob(f"r*/{Fate.FAILED}"):
            self._remove(mark.parent)

    def _remove(self, path: Path) -> None:
        """Renamed first: a removal that dies half-way leaves something worthless by name."""
        doomed = path.with_name(path.name + _PARTIAL)
        path.rename(doomed)
        shutil.rmtree(doomed)
        sync_directory(path.parent)

    def _link_shared(self, tree: Path, shared: Sequence[str]) -> None:
        for name in shared:
            kept, place = self._layout.shared / name, tree / name
            kept.parent.mkdir(parents=True, exist_ok=True)
            if not kept.exists():
                self._seed(kept, place)
            if place.is_symlink() or place.is_file():
                place.unlink()
            elif place.is_dir():
                shutil.rmtree(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(kept)

    def _seed(self, kept: Path, place: Path) -> None:
        """The first release's own content is where a shared path begins; a name with a suffix is a file to be."""
        if place.is_dir() and not place.is_symlink():
            shutil.copytree(place, kept, symlinks=True)
        elif place.is_file():
            shutil.copy2(place, kept)
        elif not kept.suffix:
            kept.mkdir(parents=True)
        self._own(kept if kept.exists() else kept.parent)

    def _own(self, path: Path) -> None:
        if self._owner is None or os.geteuid() != 0:
            return
        found = pwd.getpwnam(self._owner)
        os.lchown(path, found.pw_uid, found.pw_gid)
        for directory, names, files in os.walk(path):
            for name in (*names, *files):
                os.lchown(os.path.join(directory, name), found.pw_uid, found.pw_gid)  # noqa: PTH118  called per file

    def _build(
        self,
        tree: Path,
        partial: Path,
        settings: Settings,
        *,
        variables: Mapping[str, str],
        tell: Callable[[Event], None],
        cancelled: Callable[[], bool],
    ) -> None:
        build = settings.build
        builder = Builder(
            tree=tree,
            log=partial / "build.log",
            owner=self._owner,
            variables=_build_variables(self._owner) | dict(variables),
            timeout_s=build.timeout_s,
        )
        builder.log.touch()
        if not self._reuse(tree, settings, tell=tell):
            builder.run(build.dependency_steps, tell=tell, cancelled=cancelled)
        builder.run(build.steps, tell=tell, cancelled=cancelled)

    def _reuse(self, tree: Path, settings: Settings, *, tell: Callable[[Event], None]) -> bool:
        """Copy what the lock files govern from the newest release with the same ones. True when all of it was."""
        numbers = self.numbers()
        if not numbers or not settings.build.reuse:
            return False
        newest = self._layout.release(numbers[-1]) / "tree"
        if any(not _is_same(newest / each.lock_file, tree / each.lock_file) for each in settings.build.reuse):
            return False
        if any(not (newest / each.directory).is_dir() for each in settings.build.reuse):
            return False
        for each in settings.build.reuse:
            shutil.copytree(newest / each.directory, tree / each.directory, symlinks=True, dirs_exist_ok=True)
            self._own(tree / each.directory)
            tell(DependenciesReused(directory=each.directory, lock_file=each.lock_file, from_release=numbers[-1]))
        return True


def _read_environment(settings: Settings) -> dict[str, str]:
    variables: dict[str, str] = {}
    if settings.web.env_file is not None:
        try:
            variables = parse_env(Path(settings.web.env_file).read_text())
        except (OSError, ValueError, UnicodeError) as error:
            raise StepError(f"env_file {settings.web.env_file}: {error}", code="env_unreadable") from error
    variables |= settings.web.env
    try:
        render_env(variables)
    except ValueError as error:
        raise StepError(f"the environment: {error}", code="env_unreadable") from error
    return variables


def _build_variables(owner: str | None) -> dict[str, str]:
    home = pwd.getpwnam(owner).pw_dir if owner is not None else os.environ.get("HOME", "/")
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin"} | kept | {"HOME": home}


def _read_fate(path: Path) -> Fate | None:
    return next((fate for fate in Fate if (path / fate.value).exists()), None)


def _mask(env: Path) -> None:
    """Which variables there were is worth keeping for inspection, what they held is not."""
    write_atomic(env, render_env(dict.fromkeys(read_env(env), "***")), mode=0o600)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.read_bytes() == other.read_bytes()
    except OSError:
        return False


def _read_files(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((path / "files.json").read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def _sync_tree(path: Path) -> None:
    """One syncfs would also wait for everybody else's writes; file by file is what a release needs."""
    for directory, _, files in os.walk(path):
        for name in files:
            full = os.path.join(directory, name)  # noqa: PTH118  called per file
            if not os.path.islink(full):  # noqa: PTH114
                descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        sync_directory(Path(directory))


def _count_bytes(tree: Path) -> int:
    return sum(
        os.lstat(os.path.join(directory, name)).st_size  # noqa: PTH118  called per file
        for directory, _, files in os.walk(tree)
        for name in files
    )
