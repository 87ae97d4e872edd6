"""Docker: the promises of every runner, with a daemon of our own."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.drivers.runners.docker import DockerRunner
from celadon.host.engine import Engine
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import FindingLevel, SlotStatus
from tests.contract.container_engines import Dockerd, needs_docker, open_docker
from tests.contract.container_promises import ContainerPromises, ContainerStage
from tests.contract.image_promises import ImagePromises, ImageStage
from tests.contract.runner_promises import SLEEPER, ReplicatedPromises, await_line, await_view

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


class TestDocker(ContainerPromises, ReplicatedPromises):
    """Kept by containers of Docker."""


@pytest.fixture
def images(docker: Dockerd, tmp_path: Path) -> Iterator[ImageStage]:
    made = ImageStage(tmp_path, "docker")
    yield made
    made.close()


class TestDockerImages(ImagePromises):
    """Kept in Docker's own store."""


def test_a_crashed_app_is_started_again_and_counted_once_it_is_enabled(stage: ContainerStage) -> None:
    """As what has the traffic should be, after the bless too."""
    stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
    await_line(stage.runner, Slot.BLUE, "up")
    stage.runner.set_boot(Slot.BLUE, enabled=True)
    os.kill(stage.runner.observe(Slot.BLUE).pids[0], signal.SIGKILL)
    view = await_view(
        stage.runner, Slot.BLUE, lambda view: view.restarts_count == 1 and view.status is SlotStatus.RUNNING
    )
    assert (view.restarts_count, view.release, view.status) == (1, 1, SlotStatus.RUNNING)


def test_exactly_the_enabled_slot_comes_back_with_the_daemon(docker: Dockerd, stage: ContainerStage) -> None:
    """As after a reboot; and what runs is seen as it is then."""
    for slot in Slot:
        stage.runner.start(slot, stage.make_release(1, SLEEPER))
    stage.runner.set_boot(Slot.GREEN, enabled=True)
    docker.kill()
    docker.start()
    view = await_view(stage.runner, Slot.GREEN, lambda view: view.status is SlotStatus.RUNNING)
    assert view.status is SlotStatus.RUNNING
    assert stage.runner.observe(Slot.BLUE).status is SlotStatus.EXITED


def test_a_daemon_that_does_not_answer_is_an_error(docker: Dockerd, stage: ContainerStage) -> None:
    """Never `nothing runs there`: what is not known to be stopped may be serving."""
    docker.stop()
    try:
        with pytest.raises(StepError) as raised:
            Engine("docker").call("ps", patience_s=0.0)
        assert (raised.value.code, raised.value.next_command) == ("engine_silent", "systemctl status docker")
        (found,) = stage.runner.check()
        assert found.level is FindingLevel.PROBLEM
    finally:
        docker.start()
