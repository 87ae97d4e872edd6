"""What the runners of containers cost beyond the engine's own `run`, and what looking at one costs."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median

from tests.contract.compose_stage import ComposeStage
from tests.contract.container_engines import open_compose, open_docker, open_podman, run_engine
from tests.contract.container_promises import ContainerStage
from tests.contract.runner_promises import SLEEPER

from bench.tables import render_table, spread
from celadon.drivers.runners.containers import ContainerRunner, inside_address, render_run, render_variables
from celadon.drivers.runners.docker import DockerRunner
from celadon.drivers.runners.launch import slot_variables
from celadon.drivers.runners.podman import PodmanRunner
from celadon.host.compose import find_compose, read_project, render_yaml
from celadon.host.engine import Engine
from celadon.model.compose_project import place_paths
from celadon.model.names import Slot
from celadon.model.release import Release

_MARK_MS = 150
_LOOKS_PER_S = 4


def run(*, starts: int) -> Iterator[str]:
    """A table each, when it is there."""
    yield _run_looks()
    yield _run_starts(starts)


def _run_looks() -> str:
    """The processor's time, that of the engine's command line with it: it does not depend on who else is busy."""
    with open_docker(), tempfile.TemporaryDirectory() as base:
        stage = ContainerStage(Path(base), DockerRunner, "docker")
        stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
        kept = _time_looks(lambda: stage.runner, count=200)
        asked = _time_looks(lambda: DockerRunner(stage.layout, stage.settings), count=20)
        stage.runner.stop(Slot.BLUE, grace_s=0.0)
    rows = [
        (what, f"{took_ms:.2f}", f"{took_ms * _LOOKS_PER_S / 10:.2f} %")
        for what, took_ms in (("main process is the one of last time", kept), ("the engine is asked", asked))
    ]
    head = ("a look at a slot", "ms of CPU", f"of a core at {_LOOKS_PER_S}/s; mark 1 %")
    return render_table("Looking at a container", head, rows)


def _time_looks(runner: Callable[[], ContainerRunner], *, count: int) -> float:
    began = os.times()
    for _ in range(count):
        runner().observe(Slot.BLUE)
    return sum(now - then for now, then in zip(os.times()[:4], began[:4], strict=True)) * 1000 / count


def _run_starts(count: int) -> str:
    rows = [
        _measure(count, partial(ContainerStage, kind=DockerRunner, program="docker"), _Bare, open_docker()),
        _measure(count, partial(ContainerStage, kind=PodmanRunner, program="podman"), _Bare, open_podman()),
        _measure(count, ComposeStage, _BareProject, open_compose()),
    ]
    head = ("runner", "runs", "start ms", "bare run ms", "beyond ms", f"mark {_MARK_MS} ms", "multiple")
    return render_table("Starting a slot, beside the engine's own `run` or `up`: median / max", head, rows)


def _measure(
    count: int,
    make_stage: Callable[[Path], ContainerStage],
    make_bare: "Callable[[ContainerStage], _Bare]",
    engine: AbstractContextManager[object],
) -> Sequence[object]:
    """In turns, so that a busy minute of the machine meets both."""
    started, taken = [], []
    with engine, tempfile.TemporaryDirectory() as base:
        stage = make_stage(Path(base))
        bare = make_bare(stage)
        for number in range(1, count + 1):
            release = stage.make_release(number, SLEEPER)
            bare.write(release)
            taken.append(_time(partial(bare.run, release)))
            bare.remove()
            started.append(_time(partial(stage.runner.start, Slot.BLUE, release)))
            stage.runner.stop(Slot.BLUE, grace_s=0.0)
    beyond_ms = median(started) - median(taken)
    kept = "kept" if beyond_ms <= _MARK_MS else "missed"
    multiple = f"{median(started) / median(taken):.2f}"
    return (bare.name, count, spread(started), spread(taken), f"{beyond_ms:.0f}", kept, multiple)


class _Bare:
    """What a person would type for the same container."""

    def __init__(self, stage: ContainerStage) -> None:
        self.stage = stage
        self.name = stage.program

    def write(self, release: Release) -> None:
        """What is not measured."""

    def run(self, release: Release) -> None:
        settings, stage = release.manifest.settings, self.stage
        words = render_run(settings, Slot.BLUE, release, image=stage.image, shared=stage.layout.shared)
        words = ["--name=bare" if word.startswith("--name=") else word for word in words if "--label" not in word]
        variables = slot_variables(release, Slot.BLUE, address=inside_address(settings, settings.web.blue))
        done = Engine(stage.program).call(*words, stdin=render_variables(variables))
        if not done.ok:
            raise RuntimeError(done.output)

    def remove(self) -> None:
        run_engine(self.stage.program, "rm", "--force", "--volumes", "bare")


class _BareProject(_Bare):
    """`up` of the user's own file, with a network of its own."""

    def __init__(self, stage: ContainerStage) -> None:
        super().__init__(stage)
        self.name = "compose"
        self._file = stage.base / "bare.json"
        self._compose = find_compose()

    def write(self, release: Release) -> None:
        settings = release.manifest.settings
        web = read_project(release.path).services["web"] | {
            "container_name": "bare",
            "command": settings.web.command,
            "ports": [f"{settings.web.blue}:{inside_address(settings, settings.web.blue).port}"],
            "environment": slot_variables(release, Slot.BLUE, address=inside_address(settings, settings.web.blue)),
        }
        document = {"version": "3.9", "services": {"web": place_paths(web, lambda path: release.tree / path)}}
        self._file.write_text(render_yaml(document).replace("$there", "$$there"))

    def run(self, release: Release) -> None:  # noqa: ARG002
        done = self._compose.call("--project-name=bare", "--file", str(self._file), "up", "--detach", "--no-build")
        if not done.ok:
            raise RuntimeError(done.output)

    def remove(self) -> None:
        super().remove()
        run_engine("docker", "network", "rm", "bare_default")


def _time(act: Callable[[], object]) -> float:
    began_s = time.monotonic()
    act()
    return (time.monotonic() - began_s) * 1000
