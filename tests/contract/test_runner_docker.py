"""Docker: the promises of every runner, with a daemon of our own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.drivers.runners.docker import DockerRunner
from tests.contract.container_engines import Dockerd, needs_docker, open_docker
from tests.contract.container_promises import ContainerPromises, ContainerStage
from tests.contract.image_promises import ImagePromises, ImageStage

pytestmark = [pytest.mark.root, needs_docker]


@pytest.fixture(scope="module")
def docker() -> Iterator[Dockerd]:
    with open_docker() as daemon:
        yield daemon


@pytest.fixture
def stage(docker: Dockerd, tmp_path: Path) -> Iterator[ContainerStage]:
    made = ContainerStage(tmp_path, DockerRunner, "docker")
    yield made
    made.close()


class TestDocker(ContainerPromises):
    """Kept by containers of Docker."""


@pytest.fixture
def images(docker: Dockerd, tmp_path: Path) -> Iterator[ImageStage]:
    made = ImageStage(tmp_path, "docker")
    yield made
    made.close()


class TestDockerImages(ImagePromises):
    """Kept in Docker's own store."""
