"""What Docker and Podman promise beside what every runner does: one stage, and the cases of a sick candidate."""

import contextlib
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.drivers.probes.table import make_probe
from celadon.drivers.runners.containers import ContainerRunner
from celadon.drivers.runners.published import PublishedSockets
from celadon.host.environment import read_env, render_env
from celadon.host.layout import Layout
from celadon.host.memory import KernelHost
from celadon.host.processes import identify
from celadon.host.sockets import KernelSockets
from celadon.model.address import TcpAddress
from celadon.model.connections import Connection
from celadon.model.errors import StepError
from celadon.model.labels import APP, PROCESS, RELEASE, SLOT
from celadon.model.names import AppName, Slot
from celadon.model.observed import FindingLevel, SlotStatus
from celadon.model.processes import WEB
from celadon.model.release import Release
from celadon.model.settings import ContainerSettings, LimitSettings, ObserveSettings, Settings
from celadon.observe.threshold import ThresholdJudge
from tests.contract.container_engines import IMAGE, run_engine
from tests.contract.runner_promises import (
    PROCESSES,
    SLEEPER,
    RunnerPromises,
    as_processes,
    await_line,
    await_view,
    write_release,
)
from tests.contract.slot_server import free_port
from tests.fakes.world import make_release, make_settings

SERVER = """
import http.server, os
server = http.server.HTTPServer((os.environ['HOST'], int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler)
print('up', flush=True)
server.serve_forever()
"""


HOG = "import time\nprint('up', flush=True)\ntime.sleep(0.3)\nheld = bytearray(128 << 20)\ntime.sleep(60)\n"


MakeRunner = Callable[[Layout, Settings], ContainerRunner]


class ContainerStage:
    """The app's script is in its release's tree, which the test mounts: one image for all releases."""

    def __init__(self, base: Path, kind: MakeRunner, program: str, *, app: str = "shop") -> None:
        self.base = base
        self.program = program
        self.app = AppName(app)
        self.layout = Layout(base, self.app)
        self.settings = self._settings()
        self.kind = kind
        self.runner = self.runner_of(WEB)
        self.image = json.loads(run_engine(program, "image", "inspect", IMAGE))[0]["Id"]

    def runner_of(self, process: str) -> ContainerRunner:
        return self.kind(replace(self.layout, process=process), self.settings)

    def _settings(self) -> Settings:
        settings = make_settings()
        web = replace(
            settings.web,
            command="python3 -S /app/app.py",
            blue=TcpAddress(port=free_port()),
            blue_more=(TcpAddress(port=free_port()),),
            green=TcpAddress(port=free_port()),
        )
        return as_processes(replace(settings, app=self.app, web=web))

    def make_release(self, number: int, script: str, **container: object) -> Release:
        path = self.layout.release(number)
        web = replace(self.settings.web, container=ContainerSettings(volumes={"/app": str(path / "tree")}, **container))  # type: ignore[arg-type]
        release = make_release(number, settings=replace(self.settings, web=web), path=path, app=self.app)
        release = write_release(self.base, release, script)
        return replace(release, manifest=replace(release.manifest, image=self.image))

    def other(self, app: str) -> "ContainerStage":
        return ContainerStage(self.base / "other", self.kind, self.program, app=app)

    def containers(self) -> list[str]:
        return run_engine(self.program, "ps", "--all", "--format={{.Names}}").split()

    def left_in_engine(self) -> tuple[list[str], list[str], list[str]]:
        """Containers, volumes, networks."""
        volumes = run_engine(self.program, "volume", "ls", "--quiet").split()
        return self.containers(), volumes, run_engine(self.program, "network", "ls", "--quiet").split()

    def port(self, slot: Slot) -> int:
        address = self.settings.web.address(slot)
        assert isinstance(address, TcpAddress)
        return address.port

    def close(self) -> None:
        for slot in Slot:
            for process in PROCESSES:
                self.runner_of(process).stop(slot, grace_s=0.0)
        shutil.rmtree(self.base, ignore_errors=True)


class ContainerPromises(RunnerPromises):
    files_count: int | None = 256
    tells_memory = True

    def test_an_app_whose_name_begins_alike_is_another_one(self, stage: ContainerStage) -> None:
        """`shop-blue` in its blue slot is not `shop` in its: labels are compared as a whole, names not at all."""
        other = stage.other("shop-blue")
        try:
            other.runner.start(Slot.BLUE, other.make_release(3, SLEEPER))
            assert stage.runner.observe(Slot.BLUE).status is SlotStatus.STOPPED
            stage.runner.start(Slot.BLUE, stage.make_release(7, SLEEPER))
            assert (stage.runner.observe(Slot.BLUE).release, other.runner.observe(Slot.BLUE).release) == (7, 3)
            stage.runner.stop(Slot.BLUE, grace_s=0.0)
            again = stage.kind(other.layout, other.settings)
            assert again.observe(Slot.BLUE).status is SlotStatus.RUNNING
        finally:
            other.close()

    def test_the_app_is_reached_at_its_slots_address(self, stage: ContainerStage) -> None:
        """On loopback alone; and whoever listens there belongs to the slot, by the kernel's word."""
        stage.runner.start(Slot.BLUE, stage.make_release(1, SERVER, port=8000))
        await_line(stage.runner, Slot.BLUE, "up")
        address = stage.settings.web.blue
        assert visit(stage.port(Slot.BLUE)) == 200
        listeners = KernelSockets().listening_pids(address)
        assert listeners
        assert listeners & set(stage.runner.observe(Slot.BLUE).pids)

    def test_this_machine_can_run_it(self, stage: ContainerStage) -> None:
        """And a network that is not there is named, with the command that makes it."""
        assert [found for found in stage.runner.check() if found.level is FindingLevel.PROBLEM] == []
        web = replace(stage.settings.web, container=ContainerSettings(network="nowhere"))
        (found,) = stage.kind(stage.layout, replace(stage.settings, web=web)).check()[:1]
        assert (found.level, found.fix) == (FindingLevel.PROBLEM, f"{stage.program} network create nowhere")

    def test_an_app_that_never_listens_is_not_ready(self, stage: ContainerStage) -> None:
        """Though a forwarder takes the connection: there is no answer."""
        stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
        await_line(stage.runner, Slot.BLUE, "up")
        answer = make_probe(stage.settings, env=dict).ask(stage.settings.web.blue, timeout_s=1.0)
        assert not answer.ok, answer

    def test_connections_into_the_container_are_counted(self, stage: ContainerStage) -> None:
        """Whoever forwards them: an old slot with somebody on it is not at rest. What came over them is known too."""
        release = stage.make_release(1, SERVER, port=8000)
        stage.runner.start(Slot.BLUE, release)
        await_line(stage.runner, Slot.BLUE, "up")
        settings = replace(stage.settings, web=replace(stage.settings.web, container=ContainerSettings(port=8000)))
        sockets = PublishedSockets(KernelSockets(), lambda *_: stage.runner, settings)
        with socket.create_connection(("127.0.0.1", stage.port(Slot.BLUE)), timeout=5) as client:
            assert await_count(sockets, settings, wanted=1) == 1
            client.sendall(b"GET")
            assert await_received(sockets, settings, wanted=3).unheard_s is not None
        assert await_count(sockets, settings, wanted=0) == 0

    def test_the_variables_are_the_releases_own_to_the_letter(self, stage: ContainerStage) -> None:
        """Quotes, dollars, hashes and blanks too; the port is the one inside, and no file of the engine's is left."""
        script = (
            "import os\nfor name in ('GREETING', 'ODD', 'PORT', 'CELADON_SLOT'): print(os.environ[name])\n" + SLEEPER
        )
        release = stage.make_release(3, script, port=8000)
        odd = """ a "b" 'c' # $d \\ e=f"""
        (release.path / "env").write_text(render_env({"GREETING": "hello $there", "ODD": odd}))
        stage.runner.start(Slot.GREEN, release)
        await_line(stage.runner, Slot.GREEN, "up")
        assert stage.runner.tail(Slot.GREEN, lines_count=5) == ["hello $there", odd, "8000", "green", "up"]
        kept = stage.layout.slot(Slot.GREEN) / "env"
        assert (kept.stat().st_mode & 0o777, read_env(kept)["PORT"]) == (0o600, str(stage.port(Slot.GREEN)))

    def test_a_stopped_slot_leaves_nothing(self, stage: ContainerStage) -> None:
        """No container, no volume of its own, no process, no file but its log and who ran last."""
        before = stage.left_in_engine()
        stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER, options=("--volume=/cache",)))
        pids = stage.runner.observe(Slot.BLUE).pids
        stage.runner.stop(Slot.BLUE, grace_s=1.0)
        assert stage.left_in_engine() == before
        assert all(identify(pid) is None for pid in pids)
        assert sorted(path.name for path in stage.layout.slot(Slot.BLUE).iterdir()) == ["log", "release"]

    def test_an_app_that_cannot_begin_leaves_nothing_and_says_why(self, stage: ContainerStage) -> None:
        """The engine has made the container by then."""
        before = stage.left_in_engine()
        release = stage.make_release(1, SLEEPER, init=False)
        broken = replace(release.manifest.settings.web, command="no-such-program --serve")
        settings = replace(release.manifest.settings, web=broken)
        with pytest.raises(StepError, match="no-such-program") as raised:
            stage.runner.start(Slot.BLUE, replace(release, manifest=replace(release.manifest, settings=settings)))
        assert raised.value.code == "start_failed"
        assert stage.left_in_engine() == before

    def test_a_container_that_never_ran_is_made_again(self, stage: ContainerStage) -> None:
        """What a death between the making and the start leaves."""
        labels = [f"--label={APP}=shop", f"--label={PROCESS}=web", f"--label={SLOT}=blue", f"--label={RELEASE}=r1"]
        run_engine(stage.program, "create", "--name=celadon-shop-blue", *labels, IMAGE, "sleep", "60")
        assert stage.runner.observe(Slot.BLUE).status is SlotStatus.STOPPED
        assert stage.runner.start(Slot.BLUE, stage.make_release(2, SLEEPER)).release == 2

    def test_what_was_started_behind_its_back_is_seen(self, stage: ContainerStage) -> None:
        """It takes a slot that it has emptied for empty: what another one has started there since is left alone when
        it is the release that is wanted, and else makes room."""
        stage.runner.stop(Slot.BLUE, grace_s=0.0)
        first, second = stage.make_release(1, SLEEPER), stage.make_release(2, SLEEPER)
        running = stage.runner_of(WEB).start(Slot.BLUE, first)
        assert stage.runner.start(Slot.BLUE, first).pids[0] == running.pids[0]
        stage.runner.stop(Slot.BLUE, grace_s=0.0)
        stage.runner_of(WEB).start(Slot.BLUE, first)
        assert stage.runner.start(Slot.BLUE, second).release == 2
        assert stage.runner_of(WEB).observe(Slot.BLUE).release == 2
        assert len(stage.containers()) == 1

    def test_a_view_of_what_was_started_is_that_of_who_asks_the_engine(self, stage: ContainerStage) -> None:
        """Its processes and those that hold its port, by whatever way they were found."""
        started = stage.runner.start(Slot.BLUE, stage.make_release(1, SERVER))
        asked = stage.runner_of(WEB).observe(Slot.BLUE)
        assert {started.pids[0], started.pids[-1]} <= {*asked.pids}
        assert (started.pids[0], started.release, started.status) == (asked.pids[0], asked.release, asked.status)

    def test_somebody_elses_container_is_not_touched(self, stage: ContainerStage) -> None:
        """Not even one that has our name."""
        run_engine(stage.program, "run", "--detach", "--init", "--name=celadon-shop-blue", IMAGE, "sleep", "60")
        try:
            with pytest.raises(StepError, match="celadon-shop-blue"):
                stage.runner.start(Slot.BLUE, stage.make_release(2, SLEEPER))
            stage.runner.stop(Slot.BLUE, grace_s=0.0)
            assert stage.containers() == ["celadon-shop-blue"]
        finally:
            run_engine(stage.program, "rm", "--force", "celadon-shop-blue")

    def test_an_app_that_the_kernel_killed_for_memory_is_told_from_one_that_ended(self, stage: ContainerStage) -> None:
        """By its own limit; the limits are those that the engine understood."""
        limits = LimitSettings(
            memory_bytes=48 << 20, cpu_percent=150, tasks_count=64, open_files_count=self.files_count
        )
        stage.settings = replace(stage.settings, web=replace(stage.settings.web, limits=limits))
        judge, host = ThresholdJudge(ObserveSettings(), Slot.BLUE), KernelHost()
        judge.take_host(host.observe())
        stage.runner.start(Slot.BLUE, stage.make_release(1, HOG))
        found = json.loads(run_engine(stage.program, "inspect", "celadon-shop-blue"))[0]["HostConfig"]
        assert (found["Memory"], found["NanoCpus"], found["PidsLimit"]) == (48 << 20, 1_500_000_000, 64)
        files = [each["Hard"] for each in found["Ulimits"] if "NOFILE" in each["Name"].upper()]
        assert self.files_count is None or files == [self.files_count]
        view = await_view(stage.runner, Slot.BLUE, lambda view: view.status is not SlotStatus.RUNNING)
        judge.take_process(view)
        judge.take_host(host.observe())
        verdict = judge.judge(elapsed_s=1.0, window_s=60.0)
        assert verdict is not None
        assert (verdict.rule, view.killed_for_memory) == ("out_of_memory", self.tells_memory)
        assert not Path("oom").exists(), "left where celadon was called"

    def test_a_child_that_daemonised_away_ends_with_its_slot(self, stage: ContainerStage) -> None:
        """Its control group knows it, whatever session it is in."""
        script = "import os, time\nif os.fork() == 0:\n    os.setsid()\n" + SLEEPER
        stage.runner.start(Slot.BLUE, stage.make_release(1, script))
        view = await_view(stage.runner, Slot.BLUE, lambda view: len(set(view.pids)) >= 3)
        stage.runner.stop(Slot.BLUE, grace_s=0.0)
        assert all(identify(pid) is None for pid in view.pids)

    def test_a_killed_app_is_told_as_killed(self, stage: ContainerStage) -> None:
        """And that it was not us."""
        stage.runner.start(Slot.BLUE, stage.make_release(1, SLEEPER))
        await_line(stage.runner, Slot.BLUE, "up")
        os.kill(stage.runner.observe(Slot.BLUE).pids[0], signal.SIGKILL)
        view = await_view(stage.runner, Slot.BLUE, lambda view: view.status is not SlotStatus.RUNNING)
        assert (view.status, view.exit_reason) == (SlotStatus.EXITED, "killed by signal 9, which celadon did not send")


def visit(port: int) -> int:
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status


def await_count(sockets: PublishedSockets, settings: Settings, *, wanted: int) -> int:
    deadline = time.monotonic() + 20
    while (count := sockets.connections_count(settings.web.blue)) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return count


def await_received(sockets: PublishedSockets, settings: Settings, *, wanted: int) -> Connection:
    deadline = time.monotonic() + 20
    while (found := sockets.connections(settings.web.blue)[0]).received_bytes != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found
