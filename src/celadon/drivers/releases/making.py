"""Making a release: fetched and built under a worthless name, synced, renamed, never changed again."""

import glob
import os
import pwd
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial as partial_of
from pathlib import Path

import msgspec

from celadon.contracts.images import Images
from celadon.drivers.releases.build import Builder
from celadon.drivers.releases.digest import digest_of, digest_text, list_files
from celadon.drivers.releases.sources import fetch_source
from celadon.drivers.releases.variables import gather_variables, owners_variables
from celadon.events import DependenciesReused, Event, ReleaseMade
from celadon.host.environment import mask_env, render_env
from celadon.host.files import sync_directory, write_atomic
from celadon.host.layout import COMPOSE, PARTIAL, Layout
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, parse_release_label
from celadon.model.release import Manifest, Source, SourceKind
from celadon.model.settings import Settings


class ReleaseMaking:
    """`owner` is the system user that the tree belongs to, when we are root; `newest` is the release whose
    dependencies may be taken over."""

    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        *,
        owner: str | None,
        newest: ReleaseNumber | None,
        images: Images,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._owner = owner
        self._newest = newest
        self._images = images

    def make(
        self,
        number: ReleaseNumber,
        source: Source,
        *,
        lead: str,
        tell: Callable[[Event], None],
        reached: Callable[[str], None],
        cancelled: Callable[[], bool],
    ) -> None:
        began = time.monotonic()
        final = self._layout.release(number)
        partial = final.with_name(final.name + PARTIAL)
        tree = partial / "tree"
        tree.mkdir(parents=True)
        try:
            image = self._fill(number, source, partial, tell=tell, reached=reached, cancelled=cancelled)
        except StepError:
            mask_env(partial / "env")
            (partial / COMPOSE).unlink(missing_ok=True)
            raise
        files = list_files(tree)
        manifest = Manifest(
            app=self._settings.app,
            number=number,
            source=source,
            tree_digest=digest_of(files),
            env_digest=digest_text((partial / "env").read_bytes()),
            config_digest=digest_text(msgspec.json.encode(self._settings)),
            built_at=time.time(),
            built_by=lead,
            build_s=time.monotonic() - began,
            settings=self._settings,
            image=image,
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

    def _fill(
        self,
        number: ReleaseNumber,
        source: Source,
        partial: Path,
        *,
        tell: Callable[[Event], None],
        reached: Callable[[str], None],
        cancelled: Callable[[], bool],
    ) -> str | None:
        """`tree`, `env` and `build.log`. Returns the image's id, if it runs as one."""
        if source.kind is SourceKind.RELEASE:
            return self._take_over(number, source, partial, reached=reached)
        excluded = _find_excluded(self._settings)
        fetch_source(source, partial / "tree", exclude=excluded, reached=lambda: reached("mid_unpack"))
        reached("unpacked")
        return self._build(number, partial, tell=tell, cancelled=cancelled)

    def _take_over(
        self, number: ReleaseNumber, source: Source, partial: Path, *, reached: Callable[[str], None]
    ) -> str | None:
        """Another release's files, links and image, with variables of its own. Raises StepError (`env_unchanged`,
        `release_altered`, `release_damaged`)."""
        base = self._layout.release(parse_release_label(source.location))
        manifest = _read_manifest(base)
        write_atomic(partial / "env", render_env(gather_variables(self._settings)), mode=0o600)
        if digest_text((partial / "env").read_bytes()) == manifest.env_digest:
            text = f"its variables are those of {source.location}, to the letter"
            raise StepError(text, code="env_unchanged", next_command="celadon restart")
        reached("mid_unpack")
        shutil.copytree(base / "tree", partial / "tree", symlinks=True, dirs_exist_ok=True)
        reached("unpacked")
        self._own(partial / "tree")
        (partial / "build.log").touch(mode=0o600)
        if digest_of(list_files(partial / "tree")) != manifest.tree_digest:
            text = f"{source.location} is not what was built: its files differ from its manifest"
            raise StepError(text, code="release_altered", next_command="celadon deploy")
        if manifest.image is not None:
            self._images.keep(number, manifest.image, tree=partial / "tree", base=base)
        return manifest.image

    def _build(
        self,
        number: ReleaseNumber,
        partial: Path,
        *,
        tell: Callable[[Event], None],
        cancelled: Callable[[], bool],
    ) -> str | None:
        tree, variables = partial / "tree", gather_variables(self._settings)
        write_atomic(partial / "env", render_env(variables), mode=0o600)
        self._link_shared(tree, self._settings.shared)
        self._own(tree)
        builder = self._run_steps(tree, partial, variables=variables, tell=tell, cancelled=cancelled)
        return self._images.make(number, tree, run=partial_of(builder.run_argv, tell=tell, cancelled=cancelled))

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

    def _run_steps(
        self,
        tree: Path,
        partial: Path,
        *,
        variables: Mapping[str, str],
        tell: Callable[[Event], None],
        cancelled: Callable[[], bool],
    ) -> Builder:
        build = self._settings.build
        builder = Builder(
            tree=tree,
            log=partial / "build.log",
            owner=self._owner,
            variables=owners_variables(self._owner) | dict(variables),
            timeout_s=build.timeout_s,
        )
        builder.log.touch(mode=0o600)
        if not self._reuse(tree, tell=tell):
            builder.run(build.dependency_steps, tell=tell, cancelled=cancelled)
        builder.run(build.steps, tell=tell, cancelled=cancelled)
        return builder

    def _reuse(self, tree: Path, *, tell: Callable[[Event], None]) -> bool:
        """Copy what the lock files govern from the newest release with the same ones. True when all of it was."""
        reuse = self._settings.build.reuse
        if self._newest is None or not reuse:
            return False
        newest = self._layout.release(self._newest) / "tree"
        if any(not _is_same(newest / each.lock_file, tree / each.lock_file) for each in reuse):
            return False
        if any(not (newest / each.directory).is_dir() for each in reuse):
            return False
        for each in reuse:
            shutil.copytree(newest / each.directory, tree / each.directory, symlinks=True, dirs_exist_ok=True)
            self._own(tree / each.directory)
            tell(DependenciesReused(directory=each.directory, lock_file=each.lock_file, from_release=self._newest))
        return True


def _find_excluded(settings: Settings) -> Sequence[str]:
    """The file of secrets may lie where the code does; everybody may read a tree."""
    source, env_file = Path(settings.source.path), settings.web.env_file
    if env_file is None or not Path(env_file).is_relative_to(source):
        return settings.source.exclude
    return (*settings.source.exclude, f"/{glob.escape(str(Path(env_file).relative_to(source)))}")


def _read_manifest(base: Path) -> Manifest:
    try:
        return msgspec.json.decode((base / "manifest.json").read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise StepError(f"{base.name}: {error}", code="release_damaged", next_command="celadon releases") from error


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.read_bytes() == other.read_bytes()
    except OSError:
        return False


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
