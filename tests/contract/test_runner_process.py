"""Plain processes: the promises of every runner, and those of having no service manager."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.drivers.runners.process import ProcessRunner
from celadon.host.layout import Layout
from celadon.host.memory import KernelHost
from celadon.host.processes import find_marked, identify, identify_child
from celadon.model.names import AppName, Slot
from celadon.model.observed import SlotStatus
from celadon.model.release import Release
from celadon.model.settings import ObserveSettings, Settings
from celadon.model.verdict import Judgement
from celadon.observe.threshold import ThresholdJudge
from tests.contract.memory_group import open_memory_group
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


class ProcessStage:
    def __init__(self, base: Path, *, user: str | None = None) -> None:
        self.base = base
        self.layout = Layout(base, AppName("shop"))
        self.settings = self._settings(user)
        self.runner = ProcessRunner(self.layout, self.settings)

    @staticmethod
    def _settings(user: str | None) -> Settings:
        settings = make_settings()
        command = f"{sys.executable} -S app.py"
        web = replace(settings.web, command=command)
        return as_processes(replace(settings, user=user, web=web))

    def runner_of(self, process: str) -> ProcessRunner:
        return ProcessRunner(replace(self.layout, process=process), self.settings)

    def make_release(self, number: int, script: str) -> Release:
        path = self.layout.release(number)
        release = make_release(number, settings=self.settings, path=path)
        return write_release(self.base, release, script)

    def find(self) -> list[int]:
        return find_marked(f"CELADON_SLOT_DIRECTORY={self.layout.slot(Slot.BLUE)}".encode())


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[ProcessStage]:
    made = ProcessStage(tmp_path)
    yield made
    for slot in Slot:
        for process in PROCESSES:
            made.runner_of(process).stop(slot, grace_s=0.1)


class TestProcess(RunnerPromises, ReplicatedPromises):
    """Kept by plain processes."""

    def test_the_end_of_one_takes_no_exit_code_of_another(self, stage: ProcessStage) -> None:
        """Both are children of who looks at them: a worker that ended while another one was being stopped."""
        worker = stage.runner_of("mail.1")
        stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
        release = stage.make_release(2, "raise SystemExit(7)")
        ended = worker.start(Slot.GREEN, release).pids[0]
        os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
        stage.runner.stop(Slot.BLUE, grace_s=0.0)
        assert worker.observe(Slot.GREEN).exit_code == 7


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("daemon", os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""
TITLED = """
import ctypes, os, time
print("up", flush=True)
if os.fork() == 0:
    # as programs do that set their title: the environment is written over
    raw = open("/proc/self/stat").read().rpartition(")")[2].split()
    start, end = int(raw[47]), int(raw[48])
    ctypes.memset(start, 0, end - start)
    print("titled", os.getpid(), flush=True)
time.sleep(600)
"""


def test_a_child_that_daemonised_away_is_found_and_ended(stage: ProcessStage) -> None:
    """No orphan: the mark is inherited, whatever session it is in."""
    stage.runner.start(Slot.BLUE, stage.make_release(1, DAEMON))
    view = await_view(stage.runner, Slot.BLUE, lambda view: len(view.pids) == 2)
    assert len(view.pids) == 2
    stage.runner.stop(Slot.BLUE, grace_s=0.2)
    assert all(identify(pid) is None for pid in view.pids)


def test_a_child_that_wrote_over_its_environment_is_found_by_its_session(stage: ProcessStage) -> None:
    """Programs that set their process title lose the mark, not the session."""
    stage.runner.start(Slot.BLUE, stage.make_release(1, TITLED))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not any(
        line.startswith("titled") for line in stage.runner.tail(Slot.BLUE, lines_count=5)
    ):
        time.sleep(0.01)
    pids = stage.runner.observe(Slot.BLUE).pids
    assert len(stage.find()) < len(pids)
    stage.runner.stop(Slot.BLUE, grace_s=0.1)
    assert all(identify(pid) is None for pid in pids)


def test_a_death_between_the_fork_and_the_record_loses_no_process(stage: ProcessStage) -> None:
    """Whoever comes next finds it by its mark, and can end it."""
    stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
    record = stage.layout.slot(Slot.BLUE) / "process.json"
    record.write_bytes(b'{"release":1,"process":null,"stopped":false}')
    later = ProcessRunner(stage.layout, stage.settings)
    view = later.observe(Slot.BLUE)
    assert (view.status, view.release) == (SlotStatus.RUNNING, 1)
    later.stop(Slot.BLUE, grace_s=0.2)
    assert stage.find() == []


def test_the_app_learns_where_to_listen_and_who_it_is(stage: ProcessStage) -> None:
    """Its own environment, exactly, beside PORT and the names."""
    script = (
        "import os\nfor n in ('GREETING','PORT','CELADON_SLOT','CELADON_RELEASE'): print(os.environ[n], flush=True)\n"
    )
    stage.runner.start(Slot.GREEN, stage.make_release(3, script + SLEEPER))
    await_line(stage.runner, Slot.GREEN, "up")
    assert stage.runner.tail(Slot.GREEN, lines_count=5) == ["hello $there", "8102", "green", "r3", "up"]
    mode = (stage.layout.slot(Slot.GREEN) / "env").stat().st_mode & 0o777
    assert mode == 0o600


def test_the_shell_is_replaced_by_the_app(stage: ProcessStage) -> None:
    """SIGTERM must reach the app, not a shell in front of it."""
    stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
    await_line(stage.runner, Slot.BLUE, "up")
    (pid,) = stage.runner.observe(Slot.BLUE).pids
    assert b"app.py" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_recycled_pid_is_not_taken_for_the_app(stage: ProcessStage) -> None:
    """A pid counts with its start time only."""
    stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
    stage.runner.stop(Slot.BLUE, grace_s=0.1)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        record = stage.layout.slot(Slot.BLUE) / "process.json"
        record.write_text(f'{{"release":1,"process":{{"pid":{other.pid},"started_ticks":1}},"stopped":false}}')
        assert stage.runner.observe(Slot.BLUE).status is SlotStatus.EXITED
        stage.runner.stop(Slot.BLUE, grace_s=0.1)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_it_says_that_it_does_not_restart_a_crashed_app(stage: ProcessStage) -> None:
    """Plainly, in every check."""
    assert any("not started again" in found.text for found in stage.runner.check())


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_the_app_runs_as_its_user(tmp_path: Path) -> None:
    """With that user's groups and nobody else's."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    stage = ProcessStage(tmp_path, user="nobody")
    settings = replace(stage.settings, web=replace(stage.settings.web, command="/usr/bin/python3 -S app.py"))
    stage.settings = settings
    stage.runner = ProcessRunner(stage.layout, settings)
    stage.runner.start(
        Slot.BLUE, stage.make_release(1, "import os; print(os.getuid(), os.getgroups(), flush=True)\n" + SLEEPER)
    )
    try:
        await_line(stage.runner, Slot.BLUE, "up")
        assert stage.runner.tail(Slot.BLUE, lines_count=2)[0] == "65534 [65534]"
    finally:
        stage.runner.stop(Slot.BLUE, grace_s=0.2)


def test_an_exit_code_outlives_the_next_command(stage: ProcessStage) -> None:
    """Python's subprocess reaps forgotten children when it starts another one, and would take the code with it."""
    (pid,) = stage.runner.start(Slot.BLUE, stage.make_release(1, "import sys; sys.exit(3)")).pids
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    subprocess.run(["true"], check=True)
    assert stage.runner.observe(Slot.BLUE).exit_code == 3


def test_a_child_that_has_already_ended_still_has_an_identity() -> None:
    """An app may exit before its start is recorded; its code must still find its way."""
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert identify(pid) is None
    assert identify_child(pid).started_ticks > 0
    os.waitpid(pid, 0)


def test_a_signal_is_told_as_one(stage: ProcessStage) -> None:
    """An app that was killed did not exit with a code, and who sent it was not us."""
    stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
    os.kill(stage.runner.observe(Slot.BLUE).pids[0], signal.SIGKILL)
    view = await_view(stage.runner, Slot.BLUE, lambda view: view.status is not SlotStatus.RUNNING)
    assert (view.exit_code, view.exit_reason) == (-9, "killed by signal 9, which celadon did not send")


HOG = "import time\nprint('up', flush=True)\ntime.sleep(0.3)\nheld = bytearray(256 << 20)\ntime.sleep(60)\n"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="a control group needs root")
def test_an_app_that_the_kernel_killed_for_memory_is_told_from_one_that_ended(stage: ProcessStage) -> None:
    """A real kill, in a control group of 32 MiB, and the verdict's words for it."""
    judge, host = ThresholdJudge(ObserveSettings(), Slot.BLUE), KernelHost()
    with open_memory_group(32 << 20) as members:
        stage.runner.start(Slot.BLUE, stage.make_release(1, HOG))
        members.write_text(str(stage.runner.observe(Slot.BLUE).pids[0]))
        judge.take_host(host.observe())
        view = await_view(stage.runner, Slot.BLUE, lambda view: view.status is not SlotStatus.RUNNING)
        judge.take_process(view)
        judge.take_host(host.observe())
    verdict = judge.judge(elapsed_s=1.0, window_s=60.0)
    assert verdict is not None
    assert (verdict.judgement, verdict.rule) == (Judgement.BREACH, "out_of_memory")
    assert "killed by the kernel: out of memory" in verdict.reason
