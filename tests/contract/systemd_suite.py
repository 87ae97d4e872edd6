"""systemd keeps the promises of every runner. Collected inside a booted machine only: tests/e2e/test_systemd.py runs it
there, as root, against the machine's own PID 1."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.drivers.runners.systemd import SystemdRunner
from celadon.drivers.runners.timer import TimerRunner
from celadon.host.commands import run_command
from celadon.host.layout import Layout
from celadon.model.names import AppName, Slot
from celadon.model.observed import FindingLevel, SlotStatus
from celadon.model.processes import WEB, WorkerSettings
from celadon.model.release import Release
from celadon.model.settings import LimitSettings
from tests.contract.runner_promises import (
    PROCESSES,
    SLEEPER,
    ReplicatedPromises,
    RunnerPromises,
    as_processes,
    await_line,
    await_view,
    write_release,
)
from tests.fakes.world import make_release, make_settings

APP = AppName("suite")


class SystemdStage:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.layout = Layout(base, APP)
        settings = make_settings()
        limits = LimitSettings(memory_bytes=64 * 1024 * 1024, cpu_percent=50, tasks_count=32, open_files_count=256)
        command = f"{sys.executable} -S app.py"
        web = replace(settings.web, command=command, limits=limits)
        self.settings = as_processes(
            replace(settings, app=APP, web=web, drain=replace(settings.drain, stop_timeout_s=0.5))
        )
        self.runner = self.runner_of(WEB)

    def runner_of(self, process: str) -> SystemdRunner:
        return SystemdRunner(replace(self.layout, process=process), self.settings)

    def make_release(self, number: int, script: str) -> Release:
        path = self.layout.release(number)
        return write_release(self.base, make_release(number, settings=self.settings, path=path, app=APP), script)


@pytest.fixture
def stage() -> Iterator[SystemdStage]:
    """Not under /tmp: a unit has its own, by default."""
    base = Path("/var/lib/celadon-suite")
    shutil.rmtree(base, ignore_errors=True)
    made = SystemdStage(base)
    yield made
    for slot in Slot:
        made.runner.stop(slot, grace_s=0.1)
    for process in PROCESSES:
        for slot in Slot:
            made.runner_of(process).stop(slot, grace_s=0.1)
    for unit in Path("/etc/systemd/system").glob("celadon-suite*"):
        unit.unlink()
    run_command(["systemctl", "daemon-reload"], timeout_s=30.0)


class TestSystemd(RunnerPromises, ReplicatedPromises):
    """Kept by real units."""


def shown(names: str) -> dict[str, str]:
    text = run_command(["systemctl", "show", "-p", names, "celadon-suite-blue.service"], timeout_s=30.0).stdout
    return dict(line.partition("=")[::2] for line in text.splitlines())


def test_limits_are_passed_through(stage: SystemdStage) -> None:
    """As systemd understood them, not as they were written."""
    stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
    found = shown("MemoryMax,CPUQuotaPerSecUSec,TasksMax,LimitNOFILE")
    assert found == {
        "MemoryMax": str(64 * 1024 * 1024),
        "CPUQuotaPerSecUSec": "500ms",
        "TasksMax": "32",
        "LimitNOFILE": "256",
    }
    assert stage.runner.observe(Slot.BLUE).memory_limit_bytes == 64 * 1024 * 1024


def test_a_crashed_app_is_started_again_and_counted(stage: SystemdStage) -> None:
    """What the process runner says it does not do."""
    stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
    await_line(stage.runner, Slot.BLUE, "up")
    os.kill(stage.runner.observe(Slot.BLUE).pids[0], 9)
    view = await_view(
        stage.runner, Slot.BLUE, lambda view: view.restarts_count == 1 and view.status is SlotStatus.RUNNING
    )
    assert (view.restarts_count, view.release) == (1, 1)


def test_exactly_the_enabled_slot_is_enabled(stage: SystemdStage) -> None:
    """By systemd's word."""
    for slot in Slot:
        stage.runner.start(slot, stage.make_release(1, SLEEPER))
    stage.runner.set_boot(Slot.GREEN, enabled=True)
    stage.runner.set_boot(Slot.BLUE, enabled=False)
    told = run_command(["systemctl", "is-enabled", "celadon-suite-blue", "celadon-suite-green"], timeout_s=30.0).stdout
    assert told.split() == ["disabled", "enabled"]


def test_a_child_that_daemonised_away_ends_with_its_slot(stage: SystemdStage) -> None:
    """The control group knows it, whatever session it is in."""
    script = "import os, time\nif os.fork() == 0:\n    os.setsid()\n" + SLEEPER
    stage.runner.start(Slot.BLUE, stage.make_release(1, script))
    view = await_view(stage.runner, Slot.BLUE, lambda view: len(view.pids) == 2)
    stage.runner.stop(Slot.BLUE, grace_s=0.5)
    assert not any(Path(f"/proc/{pid}").exists() for pid in view.pids)


TICK_S = 3


def test_a_timer_fires_once_each_time_over_switches_and_ways_back(stage: SystemdStage) -> None:
    """Each third second, while it goes to and fro between the slots: no instant is left out and none is taken twice,
    and both releases have had some."""
    nightly = WorkerSettings(name="nightly", command="./tick", schedule=f"*:*:0/{TICK_S}")
    stage.settings = replace(stage.settings, workers=(nightly,))
    runner = TimerRunner(replace(stage.layout, process="nightly"), stage.settings, stage.runner_of("nightly"))
    releases = {Slot.BLUE: stage.make_release(1, ""), Slot.GREEN: stage.make_release(2, "")}
    ticks = stage.base / "ticks"
    for slot, release in releases.items():
        (release.tree / "tick").write_text(f'#!/bin/sh\necho "$(date +%s) {slot} $CELADON_RELEASE" >> {ticks}\n')
        (release.tree / "tick").chmod(0o755)
    try:
        until, slot = time.monotonic() + 7 * TICK_S, Slot.BLUE
        while time.monotonic() < until:
            runner.start(slot, releases[slot])
            runner.set_boot(slot, enabled=True)
            runner.set_boot(slot.other, enabled=False)
            runner.stop(slot.other, grace_s=1.0)
            views = [runner.observe(each).status for each in (slot, slot.other)]
            assert views == [SlotStatus.RUNNING, SlotStatus.STOPPED]
            slot = slot.other
            time.sleep(0.7)
    finally:
        for slot in Slot:
            runner.set_boot(slot, enabled=False)
            runner.stop(slot, grace_s=1.0)
    fired = [line.split() for line in ticks.read_text().splitlines()]
    instants = [int(second) // TICK_S for second, _, _ in fired]
    assert instants == list(range(instants[0], instants[0] + len(instants))), fired
    assert len(instants) >= 5
    assert {(slot, release) for _, slot, release in fired} == {("blue", "r1"), ("green", "r2")}
    told = run_command(["systemctl", "is-active", "celadon-suite.nightly.timer"], timeout_s=30.0).stdout
    assert told.strip() == "inactive"


def test_a_schedule_that_systemd_does_not_understand_is_refused(stage: SystemdStage) -> None:
    """Before anything is touched, with systemd's own words."""
    good, bad = (WorkerSettings(name=f"t{at}", command="x", schedule=f"*-*-* {at}:00") for at in ("03", "25"))
    [found] = SystemdRunner(stage.layout, replace(stage.settings, workers=(good, bad))).check()
    assert (found.level, found.subject) == (FindingLevel.PROBLEM, "processes.t25")
    assert "25:00" in found.text
