"""What the runners of containers cost beyond the engine's own `run`, and what looking at one costs."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median

from tests.contract.container_engines import open_docker, open_podman, run_engine
from tests.contract.container_promises import ContainerStage, MakeRunner
from tests.contract.runner_promises import SLEEPER

from bench.tables import render_table, spread
from celadon.drivers.runners.containers import ContainerRunner, inside_address, render_run, render_variables
from celadon.drivers.runners.docker import DockerRunner
from celadon.drivers.runners.launch import slot_variables
from celadon.drivers.runners.podman import PodmanRunner
from celadon.host.engine import Engine
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
        _measure(count, "docker", DockerRunner, open_docker()),
        _measure(count, "podman", PodmanRunner, open_podman()),
    ]
    head = ("runner", "runs", "start ms", "bare run ms", "beyond ms", f"mark {_MARK_MS} ms", "multiple")
    return render_table("Starting a slot, beside the engine's own `run`: median / max", head, rows)


def _measure(count: int, program: str, kind: MakeRunner, engine: AbstractContextManager[object]) -> Sequence[object]:
    """In turns, so that a busy minute of the machine meets both."""
    started, bare = [], []
    with engine, tempfile.TemporaryDirectory() as base:
        stage = ContainerStage(Path(base), kind, program)
        for number in range(1, count + 1):
            release = stage.make_release(number, SLEEPER)
            bare.append(_time(partial(_run_bare, stage, release)))
            run_engine(program, "rm", "--force", "--volumes", "bare")
            started.append(_time(partial(stage.runner.start, Slot.BLUE, release)))
            stage.runner.stop(Slot.BLUE, grace_s=0.0)
    beyond_ms = median(started) - median(bare)
    kept = "kept" if beyond_ms <= _MARK_MS else "missed"
    multiple = f"{median(started) / median(bare):.2f}"
    return (program, count, spread(started), spread(bare), f"{beyond_ms:.0f}", kept, multiple)


def _run_bare(stage: ContainerStage, release: Release) -> None:
    settings = release.manifest.settings
    words = render_run(settings, Slot.BLUE, release, image=stage.image, shared=stage.layout.shared)
    words = ["--name=bare" if word.startswith("--name=") else word for word in words if "--label" not in word]
    variables = slot_variables(release, Slot.BLUE, address=inside_address(settings, settings.web.blue))
    done = Engine(stage.program).call(*words, stdin=render_variables(variables))
    if not done.ok:
        raise RuntimeError(done.output)


def _time(act: Callable[[], object]) -> float:
    began_s = time.monotonic()
    act()
    return (time.monotonic() - began_s) * 1000
