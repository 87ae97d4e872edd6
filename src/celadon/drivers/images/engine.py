"""The images of an app's releases, in Docker's or Podman's own store: each kept by a tag of ours, and known by its id.

One repository for all apps, `localhost/celadon`, and a tag `<app>.r<number>`: an app's name may end in a dash, which a
repository's may not; and neither part of a tag has a dot, so that one app's tags are never taken for another's. Of
several images of a release each has the name of its service between the two.
"""

import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.contracts.images import RunStep
from celadon.host.engine import Engine
from celadon.model.errors import StepError
from celadon.model.names import AppName, ReleaseNumber, parse_release_label, render_release_label
from celadon.model.settings import ContainerSettings

REPOSITORY = "localhost/celadon"
_BY_DIGEST = "@sha256:"


def image_tag(app: str, number: int) -> str:
    return f"{app}.{render_release_label(number)}"


def parse_tag(tag: str, *, app: str) -> ReleaseNumber | None:
    """Pure. None for the tag of another app, and for what is no tag of ours."""
    owner, _, label = tag.rpartition(".")
    try:
        return parse_release_label(label) if owner.partition(".")[0] == app and label.startswith("r") else None
    except ValueError:
        return None


class EngineImages:
    """Implements contracts.images.Images."""

    def __init__(self, engine: Engine, app: AppName, settings: ContainerSettings) -> None:
        self._engine = engine
        self._app = app
        self._settings = settings

    def make(self, number: ReleaseNumber, tree: Path, *, run: RunStep) -> str:
        """One that is built is tagged by its builder, in one effect; any other when it is there."""
        settings, name = self._settings, self._name(number)
        if settings.build is not None:
            return self._build(tree / settings.build, name, run=run)
        if settings.archive is not None:
            return self._load(tree / settings.archive, name, run=run)
        return self._keep(self._find_named(settings.image or "", run=run), name)

    def keep(self, number: ReleaseNumber, image: str, *, tree: Path, base: Path) -> None:  # noqa: ARG002
        self._keep(image, self._name(number))

    def has(self, image: str) -> bool:
        return self._identify(image) is not None

    def keep_only(self, numbers: Collection[ReleaseNumber]) -> None:
        for name in self._list_names():
            tag = name.removeprefix(f"{REPOSITORY}:")
            number = parse_tag(tag, app=self._app)
            if number is not None and number not in numbers:
                self._engine.call("image", "rm", name)

    def _name(self, number: ReleaseNumber) -> str:
        return f"{REPOSITORY}:{image_tag(self._app, number)}"

    def _build(self, context: Path, name: str, *, run: RunStep) -> str:
        """`--force-rm`: a build that fails leaves no container either."""
        run([self._engine.program, "build", "--force-rm", f"--tag={name}", str(context)])
        return self._require(name)

    def _load(self, archive: Path, name: str, *, run: RunStep) -> str:
        """The names that the archive brought are taken away again, where nothing had them before: the release's own
        keeps the image. The file is not kept twice."""
        brought = _read_names(archive)
        had = {each for each in brought if self._identify(each) is not None}
        lines = run([self._engine.program, "load", "--quiet", f"--input={archive}"])
        image = self._keep(self._require(_parse_loaded(lines)), name)
        for each in brought:
            if each not in had:
                self._engine.call("image", "rm", each)
        archive.unlink()
        return image

    def _find_named(self, name: str, *, run: RunStep) -> str:
        image = self._identify(name)
        if image is None and _BY_DIGEST in name:
            run([self._engine.program, "pull", "--quiet", name])
            image = self._identify(name)
        if image is None:
            raise self._missing(f"{name}; without a digest it is not pulled")
        return image

    def _keep(self, image: str, name: str) -> str:
        self._engine.require("tag", image, name, code="image_not_kept")
        return image

    def _require(self, name: str) -> str:
        image = self._identify(name)
        if image is None:
            raise self._missing(f"{name} after it was made")
        return image

    def _missing(self, which: str) -> StepError:
        program = self._engine.program
        return StepError(f"{program} has no image {which}", code="image_missing", next_command=f"{program} image ls")

    def _identify(self, name: str) -> str | None:
        done = self._engine.call("image", "inspect", name)
        if not done.ok:
            return None
        return msgspec.json.decode(done.stdout, type=list[_Inspected])[0].id

    def _list_names(self) -> Sequence[str]:
        """Of all apps; Podman tells an image's other names too. Not as JSON, which differs between the two."""
        words = ("image", "ls", "--format={{.Repository}}:{{.Tag}}", REPOSITORY)
        return self._engine.require(*words, code="images_not_listed").split()


class _Inspected(Struct, frozen=True, rename="pascal"):
    id: str


class _Saved(Struct, frozen=True):
    names: list[str] | None = msgspec.field(name="RepoTags", default=None)


def _read_names(archive: Path) -> Sequence[str]:
    """Of the one image that it holds, as `docker save` and `podman save` write it. Raises StepError."""
    try:
        with tarfile.open(archive) as stream:
            manifest = stream.extractfile("manifest.json")
            saved = msgspec.json.decode(manifest.read() if manifest is not None else b"", type=list[_Saved])
    except (OSError, KeyError, tarfile.TarError, EOFError, msgspec.DecodeError) as error:
        raise StepError(
            f"{archive.name} is not what `docker save` writes: {error}",
            code="image_archive",
            next_command=f"docker save --output {archive.name} NAME",
        ) from error
    if len(saved) != 1:
        raise StepError(
            f"{archive.name} holds {len(saved)} images; expected one",
            code="image_archive",
            next_command=f"docker save --output {archive.name} NAME",
        )
    return saved[0].names or ()


def _parse_loaded(lines: Sequence[str]) -> str:
    """`Loaded image: NAME`, `Loaded image ID: sha256:…`, and Podman's `Loaded image(s): NAME`."""
    told = next((line for line in reversed(lines) if line.startswith("Loaded image")), "")
    return told.partition(": ")[2].strip()
