"""Podman: the promises of every runner, with a storage and networks of our own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.drivers.runners.podman import PodmanRunner
from tests.contract.container_engines import needs_podman, open_podman
from tests.contract.container_promises import ContainerPromises, ContainerStage
from tests.contract.image_promises import ImagePromises, ImageStage
from tests.contract.runner_promises import ReplicatedPromises

pytestmark = [pytest.mark.root, needs_podman]


@pytest.fixture(scope="module")
def podman() -> Iterator[Path]:
    with open_podman() as base:
        yield base


@pytest.fixture
def stage(podman: Path, tmp_path: Path) -> Iterator[ContainerStage]:
    made = ContainerStage(tmp_path, PodmanRunner, "podman")
    yield made
    made.close()


class TestPodman(ContainerPromises, ReplicatedPromises):
    """Kept by containers of Podman. With a limit of files it also sets one of processes, above what a machine may allow
    that does not let root raise its own. Beside the first version of control groups it does not know whom the kernel
    killed for memory: the verdict has it from the kernel's own count."""

    files_count = None
    tells_memory = not Path("/sys/fs/cgroup/memory").is_dir()


@pytest.fixture
def images(podman: Path, tmp_path: Path) -> Iterator[ImageStage]:
    made = ImageStage(tmp_path, "podman")
    yield made
    made.close()


class TestPodmanImages(ImagePromises):
    """Kept in Podman's own store."""
