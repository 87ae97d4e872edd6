"""A release: code, build, env and config, numbered and never changed again."""

from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from celadon.model.names import AppName, ReleaseNumber, render_release_label
from celadon.model.settings import Settings


class SourceKind(StrEnum):
    DIRECTORY = "directory"
    GIT = "git"
    TAR = "tar"
    ADOPTED = "adopted"
    RELEASE = "release"


class Source(Struct, frozen=True, kw_only=True):
    """What a release is made of. `location` is a directory, a repository or a tar file; of an adopted one, which ran
    before us and was not built, the systemd unit that runs it, or empty; of one that only has another environment, the
    label of the release that its files are from, which is the live one where none is named.

    `ref` is what the user typed (git only), `commit` the full object id it meant at that moment; both go on with the
    files.
    """

    kind: SourceKind
    location: str
    ref: str | None = None
    commit: str | None = None


class Manifest(Struct, frozen=True, kw_only=True):
    """Stands beside the tree as `manifest.json`.

    Digests are `sha256:<hex>`; `tree_digest` covers every path, mode and content after the build,
    shared links included as links. `settings` is what was in force: a rollback runs the release
    with these and never reads celadon.toml. `built_at` is wall-clock seconds, for people only. `image` is the id of
    the image that it runs as, None where it runs from its tree.
    """

    schema: int = 1
    app: AppName
    number: ReleaseNumber
    source: Source
    tree_digest: str
    env_digest: str
    config_digest: str
    built_at: float
    built_by: str
    build_s: float
    settings: Settings
    image: str | None = None


class Fate(StrEnum):
    """What became of a release, for good. FAILED: it was rejected, or taken back before its bless; its variables are
    masked, so it can be looked at but not run again."""

    BLESSED = "blessed"
    FAILED = "failed"


class Release(Struct, frozen=True, kw_only=True):
    """`path` holds `manifest.json`, `tree/`, `env` (0600), `build.log`, `release.log` where there is a release command,
    and a file named by its fate, if any."""

    number: ReleaseNumber
    path: Path
    manifest: Manifest
    fate: Fate | None = None

    @property
    def label(self) -> str:
        return render_release_label(self.number)

    @property
    def tree(self) -> Path:
        return self.path / "tree"
