"""What every runner promises. A subclass gives the stage; the app is a script that a test writes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from msgspec.structs import replace

from celadon.contracts.runner import Runner
from celadon.drivers.runners.replicated import ReplicatedRunner
from celadon.host.environment import render_env
from celadon.host.layout import Layout
from celadon.host.processes import identify
from celadon.model.address import TcpAddress
from celadon.model.names import Slot
from celadon.model.observed import SlotStatus, SlotView
from celadon.model.processes import RELEASE, WEB, ReleaseCommand, WorkerSettings
from celadon.model.release import Release
from celadon.model.settings import Settings

SLEEPER = "import time; print('up', flush=True)\nwhile True: time.sleep(60)\n"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\n" + SLEEPER
POLITE = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))\n" + SLEEPER
)


HEARS = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGUSR1, lambda *_: print('quiet', flush=True))\n"
    "signal.signal(signal.SIGINT, lambda *_: (print('bye', flush=True), sys.exit(0)))\n"
    "signal.signal(signal.SIGTERM, lambda *_: print('who?', flush=True))\n" + SLEEPER
)
WORKER = "mail.2"
"""The second of two replicas."""


def as_processes(settings: Settings) -> Settings:
    """The release command and the worker `mail` run the web process's command, of which blue has two replicas."""
    command = settings.web.command
    mail = WorkerSettings(name="mail", command=command, stop_signal="SIGINT", grace_s=10.0, replicas_count=2)
    web = replace(settings.web, blue_more=settings.web.blue_more or (TcpAddress(port=8111),))
    return replace(settings, web=web, release=ReleaseCommand(command=command), workers=(mail,))


class RunnerStage(Protocol):
    """With settings made by `as_processes`."""

    runner: Runner
    layout: Layout
    settings: Settings

    def runner_of(self, process: str) -> Runner: ...

    def make_release(self, number: int, script: str) -> Release: ...


def await_view(runner: Runner, slot: Slot, wanted: Callable[[SlotView], bool]) -> SlotView:
    deadline = time.monotonic() + 20
    while not wanted(view := runner.observe(slot)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return view


def await_line(runner: Runner, slot: Slot, wanted: str) -> None:
    deadline = time.monotonic() + 20
    while wanted not in runner.tail(slot, lines_count=20) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert wanted in runner.tail(slot, lines_count=20)


class RunnerPromises:
    def test_nothing_was_started_is_stopped(self, stage: RunnerStage) -> None:
        """STOPPED, not an error, before the first release."""
        assert stage.runner.observe(Slot.BLUE).status is SlotStatus.STOPPED

    def test_a_started_release_is_observed_running(self, stage: RunnerStage) -> None:
        """With its number, its processes and their memory."""
        stage.runner.start(Slot.BLUE, stage.make_release(7, SLEEPER))
        await_line(stage.runner, Slot.BLUE, "up")
        view = stage.runner.observe(Slot.BLUE)
        assert (view.status, view.release) == (SlotStatus.RUNNING, 7)
        assert view.pids
        assert view.rss_bytes > 0
        assert stage.runner.observe(Slot.GREEN).status is SlotStatus.STOPPED

    def test_the_same_release_is_left_alone(self, stage: RunnerStage) -> None:
        """start is idempotent: recovery calls it without asking."""
        release = stage.make_release(7, SLEEPER)
        stage.runner.start(Slot.BLUE, release)
        before = stage.runner.observe(Slot.BLUE).pids
        stage.runner.start(Slot.BLUE, release)
        assert stage.runner.observe(Slot.BLUE).pids == before

    def test_a_stopped_slot_has_no_process_left(self, stage: RunnerStage) -> None:
        """And stopping it again is fine."""
        stage.runner.start(Slot.BLUE, stage.make_release(7, POLITE))
        await_line(stage.runner, Slot.BLUE, "up")
        pids = stage.runner.observe(Slot.BLUE).pids
        stopped = stage.runner.stop(Slot.BLUE, grace_s=10.0)
        assert stopped.killed is False
        assert all(identify(pid) is None for pid in pids)
        assert stage.runner.observe(Slot.BLUE).status is SlotStatus.STOPPED
        assert stage.runner.tail(Slot.BLUE, lines_count=1) == ["bye"]
        stage.runner.stop(Slot.BLUE, grace_s=0.1)

    def test_a_process_that_ignores_sigterm_is_killed(self, stage: RunnerStage) -> None:
        """After the grace, and it is said."""
        stage.runner.start(Slot.BLUE, stage.make_release(7, STUBBORN))
        await_line(stage.runner, Slot.BLUE, "up")
        assert stage.runner.stop(Slot.BLUE, grace_s=0.3).killed is True
        assert stage.runner.observe(Slot.BLUE).status is SlotStatus.STOPPED

    def test_a_process_that_ended_is_told_with_its_code(self, stage: RunnerStage) -> None:
        """EXITED, and the last lines are still there."""
        stage.runner.start(Slot.BLUE, stage.make_release(7, "import sys; print('no config'); sys.exit(3)"))
        view = await_view(stage.runner, Slot.BLUE, lambda view: view.status is not SlotStatus.RUNNING)
        assert (view.status, view.exit_code) == (SlotStatus.EXITED, 3)
        assert stage.runner.tail(Slot.BLUE, lines_count=5) == ["no config"]

    def test_log_lines_cannot_move_a_cursor(self, stage: RunnerStage) -> None:
        """Control characters are shown, not sent."""
        stage.runner.start(Slot.BLUE, stage.make_release(7, "print('\\x1b[2Jgone\\x07', flush=True)\n" + SLEEPER))
        await_line(stage.runner, Slot.BLUE, "up")
        assert stage.runner.tail(Slot.BLUE, lines_count=2)[0] == "\\x1b[2Jgone\\x07"

    def test_each_run_begins_its_own_log(self, stage: RunnerStage) -> None:
        """The last lines of a candidate are not those of the release before."""
        stage.runner.start(Slot.BLUE, stage.make_release(1, "print('one', flush=True)\n" + SLEEPER))
        await_line(stage.runner, Slot.BLUE, "one")
        stage.runner.stop(Slot.BLUE, grace_s=0.2)
        stage.runner.start(Slot.BLUE, stage.make_release(2, SLEEPER))
        await_line(stage.runner, Slot.BLUE, "up")
        assert "one" not in stage.runner.tail(Slot.BLUE, lines_count=20)

    def test_a_variable_reaches_the_app_to_the_letter(self, stage: RunnerStage) -> None:
        """Line breaks, quotes, blanks, what is not ASCII, and nothing at all."""
        release = stage.make_release(1, f"import os\nprint(ascii([os.environ[name] for name in 'ABC']))\n{SLEEPER}")
        values = [""" a "b" 'c' # $d `e` \\ f=g\n-----\r\n\t""", "ü\u2028\U0001f512", ""]
        (release.path / "env").write_text(render_env(dict(zip("ABC", values, strict=True))))
        stage.runner.start(Slot.BLUE, release)
        await_line(stage.runner, Slot.BLUE, "up")
        assert ascii(values) in stage.runner.tail(Slot.BLUE, lines_count=20)

    def test_boot_can_be_set_twice(self, stage: RunnerStage) -> None:
        """Enabling and disabling are idempotent."""
        stage.runner.start(Slot.BLUE, stage.make_release(7, SLEEPER))
        for enabled in (True, True, False, False):
            stage.runner.set_boot(Slot.BLUE, enabled=enabled)

    @pytest.mark.parametrize(("code", "said"), [(0, "migrated"), (3, "no such column")])
    def test_a_release_command_is_told_with_its_code(self, stage: RunnerStage, code: int, said: str) -> None:
        """A good one too, and one that fails is not started again; the web process of the slot is another one."""
        runner = stage.runner_of(RELEASE)
        script = f"import os, sys; print({said!r}, 'PORT' in os.environ); sys.exit({code})"
        runner.start(Slot.BLUE, stage.make_release(7, script))
        view = await_view(runner, Slot.BLUE, lambda view: view.status is not SlotStatus.RUNNING)
        assert (view.status, view.exit_code, view.restarts_count) == (SlotStatus.EXITED, code, 0)
        assert stage.runner.observe(Slot.BLUE).status is SlotStatus.STOPPED
        assert runner.tail(Slot.BLUE, lines_count=5) == [f"{said} False"]
        runner.stop(Slot.BLUE, grace_s=0.1)
        assert runner.observe(Slot.BLUE).status is SlotStatus.STOPPED

    def test_a_release_command_is_ended_with_its_children(self, stage: RunnerStage) -> None:
        """Which the slot's web process outlives."""
        script = "import os, time\nos.fork()\n" + SLEEPER
        release = stage.make_release(7, script)
        runner = stage.runner_of(RELEASE)
        stage.runner.start(Slot.BLUE, release)
        runner.start(Slot.BLUE, release)
        view = await_view(runner, Slot.BLUE, lambda view: len(view.pids) >= 2)
        runner.stop(Slot.BLUE, grace_s=0.5)
        assert all(identify(pid) is None for pid in view.pids)
        assert stage.runner.observe(Slot.BLUE).status is SlotStatus.RUNNING

    def test_a_worker_hears_its_signals(self, stage: RunnerStage) -> None:
        """The quiet one, and the stop signal that it was started with, whoever asks; a signal to nobody is none."""
        runner = stage.runner_of(WORKER)
        runner.signal(Slot.BLUE, "SIGUSR1")
        runner.start(Slot.BLUE, stage.make_release(7, HEARS))
        await_line(runner, Slot.BLUE, "up")
        runner.signal(Slot.BLUE, "SIGUSR1")
        await_line(runner, Slot.BLUE, "quiet")
        assert runner.observe(Slot.BLUE).status is SlotStatus.RUNNING
        assert stage.runner_of(WORKER).stop(Slot.BLUE, grace_s=10.0).killed is False
        assert runner.tail(Slot.BLUE, lines_count=3) == ["up", "quiet", "bye"]
        assert runner.observe(Slot.BLUE).status is SlotStatus.STOPPED

    def test_processes_of_one_slot_do_not_know_each_other(self, stage: RunnerStage) -> None:
        """Nor do replicas: each is started and stopped alone."""
        release = stage.make_release(7, SLEEPER)
        runners = [stage.runner, stage.runner_of("mail.1"), stage.runner_of(WORKER)]
        views = [runner.start(Slot.BLUE, release) for runner in runners]
        views = [await_view(runner, Slot.BLUE, lambda view: bool(view.pids)) for runner in runners]
        assert len({view.pids[0] for view in views}) == 3
        stage.runner.stop(Slot.BLUE, grace_s=0.2)
        stage.runner_of("mail.1").stop(Slot.BLUE, grace_s=0.2)
        assert [runner.observe(Slot.BLUE).status for runner in runners] == [
            SlotStatus.STOPPED,
            SlotStatus.STOPPED,
            SlotStatus.RUNNING,
        ]


class ReplicatedPromises:
    """Of each runner that can run several of a slot's web process."""

    def test_replicas_of_the_web_process_are_as_one(self, stage: RunnerStage) -> None:
        """Each with its port and its name; the slot runs while all of them do, is completed by a start, and has ended
        with all that a larger count had left."""
        web = stage.settings.web
        runner = ReplicatedRunner(stage.layout, web, stage.runner_of)
        script = "import os; print(os.environ['PORT'], os.environ['CELADON_PROCESS'], flush=True)\n" + SLEEPER
        release = stage.make_release(7, script)
        runner.start(Slot.BLUE, release)
        for process, address in web.replicas(Slot.BLUE).items():
            await_line(runner, Slot.BLUE, f"{process}: {address.variables['PORT']} {process}")
        first, second = (stage.runner_of(process).observe(Slot.BLUE) for process in (WEB, "web.2"))
        whole = runner.observe(Slot.BLUE)
        assert (whole.status, whole.release) == (SlotStatus.RUNNING, 7)
        assert {*whole.pids} == {*first.pids, *second.pids}
        stage.runner_of("web.2").stop(Slot.BLUE, grace_s=0.1)
        part = runner.observe(Slot.BLUE)
        assert (part.status, part.pids[0]) == (SlotStatus.EXITED, first.pids[0])
        runner.start(Slot.BLUE, release)
        again = await_view(runner, Slot.BLUE, lambda view: view.status is SlotStatus.RUNNING)
        assert (again.status, again.pids[0]) == (SlotStatus.RUNNING, first.pids[0])
        fewer = ReplicatedRunner(stage.layout, replace(web, blue_more=()), stage.runner_of)
        assert {*fewer.observe(Slot.BLUE).pids} == {*again.pids}
        fewer.stop(Slot.BLUE, grace_s=0.1)
        assert runner.observe(Slot.BLUE).status is SlotStatus.STOPPED
        assert all(identify(pid) is None for pid in again.pids)


PROCESSES = (WEB, "web.2", RELEASE, "mail.1", WORKER)
"""What a stage ends when it is closed."""


def write_release(base: Path, release: Release, script: str) -> Release:
    release.tree.mkdir(parents=True, exist_ok=True)
    (release.tree / "app.py").write_text(script)
    (release.path / "env").write_text('GREETING="hello $there"\n')
    return release
