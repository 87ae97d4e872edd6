"""What the images of releases promise: from a Dockerfile, a tar or a name; kept as long as their release is."""

import contextlib
from http.client import HTTPConnection
from pathlib import Path

import pytest

from celadon.contracts.images import RunStep
from celadon.drivers.images.engine import REPOSITORY, EngineImages
from celadon.drivers.releases.build import Builder
from celadon.host.engine import Engine
from celadon.model.errors import StepError
from celadon.model.names import AppName, ReleaseNumber
from celadon.model.settings import ContainerSettings
from tests.contract.container_engines import IMAGE, open_registry, run_engine
from tests.contract.slot_server import free_port


class ImageStage:
    def __init__(self, base: Path, program: str) -> None:
        self.program = program
        self.tree = base / "tree"
        self.tree.mkdir()
        builder = Builder(tree=self.tree, log=base / "log", owner=None, variables={}, timeout_s=120.0)
        self.run: RunStep = lambda argv: builder.run_argv(argv, tell=lambda _: None, cancelled=lambda: False)

    def images(self, app: str = "shop", **settings: object) -> EngineImages:
        return EngineImages(Engine(self.program), AppName(app), ContainerSettings(**settings))  # type: ignore[arg-type]

    def make(self, number: int, *, app: str = "shop", **settings: object) -> str:
        return self.images(app, **settings).make(ReleaseNumber(number), self.tree, run=self.run)

    def write(self, text: str) -> None:
        (self.tree / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY note /note\n{text}")
        (self.tree / "note").write_text("written\n")

    def kept(self) -> list[str]:
        names = run_engine(self.program, "image", "ls", "--format={{.Repository}}:{{.Tag}}").split()
        return sorted(name.removeprefix(f"{REPOSITORY}:") for name in names if name.startswith(f"{REPOSITORY}:"))

    def everything(self) -> list[str]:
        """Whatever has an id: dangling images and those between."""
        return sorted(set(run_engine(self.program, "image", "ls", "--all", "--quiet", "--no-trunc").split()))

    def close(self) -> None:
        for tag in self.kept():
            run_engine(self.program, "image", "rm", "--force", f"{REPOSITORY}:{tag}")


class ImagePromises:
    def test_one_is_built_from_the_release(self, images: ImageStage) -> None:
        """The id is the image's; what the Dockerfile copied is inside."""
        images.write("RUN echo built >> /note\n")
        image = images.make(1, build=".")
        assert images.kept() == ["shop.r1"]
        assert images.images().has(image)
        script = "print(open('/note').read())"
        told = run_engine(images.program, "run", "--rm", "--network=none", image, "python3", "-S", "-c", script)
        assert told.split() == ["written", "built"]

    def test_a_build_that_fails_leaves_nothing(self, images: ImageStage) -> None:
        """No tag, no container of a step."""
        before = run_engine(images.program, "ps", "--all", "--quiet")
        images.write("RUN exit 3\n")
        with pytest.raises(StepError, match="exited with") as raised:
            images.make(1, build=".")
        assert raised.value.code == "build_failed"
        assert images.kept() == []
        assert run_engine(images.program, "ps", "--all", "--quiet") == before

    def test_one_is_loaded_from_a_tar(self, images: ImageStage) -> None:
        """Under the release's name alone: the one it came with is gone again, and so is the file."""
        archive = self._save(images)
        image = images.make(2, archive=archive.name)
        assert images.kept() == ["shop.r2"]
        assert images.images().has(image)
        assert "shipped" not in run_engine(images.program, "image", "ls")
        assert not archive.exists()

    def test_a_name_that_was_there_before_stays(self, images: ImageStage) -> None:
        """It is somebody's own."""
        archive = self._save(images)
        run_engine(images.program, "tag", IMAGE, "localhost/shipped:v1")
        images.make(2, archive=archive.name)
        assert "shipped" in run_engine(images.program, "image", "ls")
        run_engine(images.program, "image", "rm", "localhost/shipped:v1")

    def test_a_file_that_is_no_image_changes_nothing(self, images: ImageStage) -> None:
        """It is told what was expected of it."""
        before = images.everything()
        (images.tree / "image.tar").write_bytes(b"no tar at all" * 100)
        with pytest.raises(StepError, match="docker save"):
            images.make(2, archive="image.tar")
        assert images.everything() == before

    def test_a_name_means_what_it_meant_when_the_release_was_made(self, images: ImageStage) -> None:
        """Later it may mean another image: the release goes by the id, and its own tag keeps it."""
        run_engine(images.program, "tag", IMAGE, "localhost/mine:latest")
        image = images.make(3, image="localhost/mine:latest")
        run_engine(images.program, "image", "rm", "localhost/mine:latest")
        assert images.images().has(image)
        with pytest.raises(StepError, match="is not pulled") as raised:
            images.make(4, image="localhost/mine:latest")
        assert raised.value.code == "image_missing"

    def test_one_is_pulled_by_its_digest_when_it_is_not_there(self, images: ImageStage, tmp_path: Path) -> None:
        """From a registry; with the registry gone, what is there is enough."""
        with open_registry(tmp_path, port=free_port()) as registry:
            images.write("RUN echo pushed >> /note\n")
            name = f"{registry}/shop"
            run_engine(images.program, "build", "--quiet", f"--tag={name}:v1", str(images.tree))
            run_engine(images.program, "push", f"{name}:v1")
            digest_name = f"{name}@{ask_digest(registry)}"
            run_engine(images.program, "image", "rm", f"{name}:v1")
            assert not images.images().has(digest_name)
            image = images.make(5, image=digest_name)
        assert images.images().has(image)
        assert images.make(6, image=digest_name) == image

    def test_one_image_is_kept_for_two_releases(self, images: ImageStage) -> None:
        """It goes with the last of them."""
        image = images.make(1, image=IMAGE)
        images.images().keep(ReleaseNumber(2), image, tree=images.tree, base=images.tree.parent)
        images.images().keep_only([ReleaseNumber(2)])
        assert images.kept() == ["shop.r2"]
        assert images.images().has(image)

    def test_what_no_release_needs_is_let_go(self, images: ImageStage) -> None:
        """Of this app only, and never of one whose name begins alike."""
        for number in (1, 2, 3):
            images.make(number, image=IMAGE)
        images.make(1, app="shop-blue", image=IMAGE)
        images.images().keep_only([ReleaseNumber(2)])
        assert images.kept() == ["shop-blue.r1", "shop.r2"]

    def _save(self, images: ImageStage) -> Path:
        archive = images.tree / "image.tar"
        images.write("RUN echo shipped >> /note\n")
        run_engine(images.program, "build", "--quiet", "--tag=localhost/shipped:v1", str(images.tree))
        run_engine(images.program, "save", f"--output={archive}", "localhost/shipped:v1")
        run_engine(images.program, "image", "rm", "localhost/shipped:v1")
        return archive


def ask_digest(registry: str) -> str:
    """Of `shop:v1`, by the registry's word: an engine may tell that of the image before it was packed for the way."""
    kinds = ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json")
    with contextlib.closing(HTTPConnection(registry, timeout=10)) as connection:
        connection.request("HEAD", "/v2/shop/manifests/v1", headers={"Accept": ", ".join(kinds)})
        return connection.getresponse().headers["Docker-Content-Digest"] or ""
