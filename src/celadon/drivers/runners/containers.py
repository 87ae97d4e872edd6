"""What Docker and Podman have in common as runners: one container a slot, found by its labels and by nothing else.

What a container is called is for people; two apps may have names that begin alike. A container that has ended stays
until the slot is stopped or started again, for its exit and its log to be read; `stop` keeps the last lines of the log
in the slot's directory and leaves nothing else behind.
"""

import math
import os
import re
import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from celadon.drivers.runners.exits import KILLED_FOR_MEMORY, describe_signal
from celadon.drivers.runners.launch import begin_slot, clear_slot, find_identity, render_line, slot_variables, tail_file
from celadon.host.checkpoint import reached
from celadon.host.commands import Completed
from celadon.host.engine import Engine
from celadon.host.files import write_atomic
from celadon.host.groups import read_group
from celadon.host.layout import Layout
from celadon.host.processes import ProcessIdentity, identify, is_alive, sum_rss_bytes
from celadon.host.text import escape_controls
from celadon.model.address import Address, TcpAddress
from celadon.model.errors import StepError
from celadon.model.labels import APP, PROCESS, RELEASE, SLOT
from celadon.model.names import AppName, ReleaseNumber, Slot, parse_release_label
from celadon.model.observed import Finding, SlotStatus, SlotView, Stopped, problem
from celadon.model.processes import WEB
from celadon.model.release import Release
from celadon.model.settings import HOST_NETWORK, Settings

_ALWAYS_THERE = frozenset({"bridge", HOST_NETWORK})
_KEPT_LINES_COUNT = 1000
_NAME_TAKEN = re.compile(r"container name .* in use")
_NEEDS_A_SHELL = re.compile(r"[;&|<>()`\n$*?~\[\]]")
_STOP_SIGNAL = "SIGTERM"  # where it is not set, the image's own is used
_SIGNALLED = 128
_LAST_SIGNAL = 64
_BEYOND_GRACE_S = 30.0
_HEARS_WITHIN_S = 5.0
_ASK_EVERY_S = 0.02


class _State(Struct, frozen=True, rename="pascal"):
    """`pid` is 0 of what does not run; `conmon_pid` is Podman's."""

    status: str
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    killed_for_memory: bool = msgspec.field(name="OOMKilled", default=False)
    conmon_pid: int = 0


class _Config(Struct, frozen=True, rename="pascal"):
    labels: dict[str, str] | None = None


class _Network(Struct, frozen=True, rename="pascal"):
    address: str = msgspec.field(name="IPAddress", default="")


class _Networks(Struct, frozen=True, rename="pascal"):
    networks: dict[str, _Network] | None = None


class _Policy(Struct, frozen=True, rename="pascal"):
    name: str = ""


class _Host(Struct, frozen=True, rename="pascal"):
    """`memory` is the limit in bytes, 0: there is none."""

    restart_policy: _Policy = _Policy()
    memory: int = 0


class Container(Struct, frozen=True, rename="pascal"):
    """As much of `inspect` as is needed."""

    id: str
    state: _State
    image: str = ""
    config: _Config = _Config()
    network_settings: _Networks = _Networks()
    host_config: _Host = _Host()
    restart_count: int = 0

    @property
    def release(self) -> ReleaseNumber | None:
        try:
            return parse_release_label((self.config.labels or {}).get(RELEASE, ""))
        except ValueError:
            return None

    @property
    def addresses(self) -> frozenset[str]:
        """Where it is reached from this machine, when the network is its own."""
        networks = self.network_settings.networks or {}
        return frozenset(each.address for each in networks.values() if each.address)


class Main(Struct, frozen=True, kw_only=True):
    """A container while its main process lives: nothing about it changes without that one ending."""

    process: ProcessIdentity
    container: str
    release: ReleaseNumber | None
    restarts_count: int
    forwarders: tuple[int, ...]
    limit_bytes: int | None = None


def container_name(app: AppName, slot: Slot, *, process: str) -> str:
    return f"celadon-{app}-{slot}" if process == WEB else f"celadon-{app}.{process}-{slot}"


def inside_address(settings: Settings, address: Address) -> TcpAddress:
    """Where the app listens, in its own network or in the machine's. `address` is a slot's, outside."""
    outside = require_port(address)
    port = settings.web.container.port or outside.port
    return outside if settings.web.container.network == HOST_NETWORK else TcpAddress(port=port, host="0.0.0.0")  # noqa: S104


def require_port(address: Address) -> TcpAddress:
    """The configuration allows a container no other."""
    if not isinstance(address, TcpAddress):
        raise StepError(
            f"{address}: a container is reached by a port", code="start_failed", next_command="celadon config"
        )
    return address


def render_run(
    settings: Settings, slot: Slot, release: Release, *, image: str, shared: Path, process: str = WEB
) -> list[str]:
    """Pure. The words of `run`; the variables come on its standard input, so that no argv has them."""
    container, own = settings.web.container, settings.process(process)
    address = settings.web.replicas(slot).get(process)
    return [
        "run",
        "--detach",
        f"--name={container_name(settings.app, slot, process=process)}",
        f"--label={APP}={settings.app}",
        f"--label={PROCESS}={process}",
        f"--label={SLOT}={slot}",
        f"--label={RELEASE}={release.label}",
        "--restart=no",
        "--env-file=/dev/stdin",
        f"--network={container.network}",
        *(_publish(settings, address) if address is not None and container.network != HOST_NETWORK else []),
        *(["--init"] if container.init else []),
        *([f"--stop-signal={own.stop_signal}"] if own.stop_signal != _STOP_SIGNAL else []),
        f"--stop-timeout={math.ceil(own.stop_timeout_s)}",
        *_render_limits(settings),
        *(f"--mount=type=bind,source={shared / source},target={target}" for target, source in _volumes(settings)),
        *container.options,
        image,
        *render_command(own.command),
    ]


def _publish(settings: Settings, address: Address) -> list[str]:
    return [f"--publish={require_port(address)}:{inside_address(settings, address).port}"]


def render_variables(variables: Mapping[str, str]) -> str:
    """As both engines read a file of them: `NAME=value` to the end of the line, and nothing is quoted."""
    return "".join(f"{name}={value}\n" for name, value in sorted(variables.items()))


def find_broken(variables: Mapping[str, str]) -> dict[str, str]:
    """Those whose value goes over lines, which a file of them cannot say: the engine takes them by name from the
    variables that it is called with."""
    return {name: value for name, value in variables.items() if "\n" in value or "\r" in value}


def render_command(command: str) -> list[str]:
    """Words for the image's own entry point; a shell comes in only where there is something for it to do."""
    if not command:
        return []
    return ["/bin/sh", "-c", render_line(command)] if _NEEDS_A_SHELL.search(command) else shlex.split(command)


def _render_limits(settings: Settings) -> list[str]:
    limits = settings.web.limits
    return [
        *([f"--memory={limits.memory_bytes}", f"--memory-swap={limits.memory_bytes}"] if limits.memory_bytes else []),
        *([f"--cpus={limits.cpu_percent / 100:g}"] if limits.cpu_percent else []),
        *([f"--pids-limit={limits.tasks_count}"] if limits.tasks_count else []),
        *([f"--ulimit=nofile={limits.open_files_count}:{limits.open_files_count}"] if limits.open_files_count else []),
    ]


def _volumes(settings: Settings) -> Sequence[tuple[str, str]]:
    return sorted(settings.web.container.volumes.items())


def view_ended(container: Container | None, slot: Slot, *, release: ReleaseNumber | None) -> SlotView:
    """Pure. Of a slot where no process is: one that was made and never ran is as if it were not there."""
    if container is None or container.state.status in {"created", "configured", "initialized", "removing"}:
        return SlotView(slot=slot, status=SlotStatus.STOPPED, release=release)
    state = container.state
    return SlotView(
        slot=slot,
        status=SlotStatus.EXITED,
        release=container.release,
        exit_code=state.exit_code,
        exit_reason=_describe_end(state),
        restarts_count=container.restart_count,
        killed_for_memory=state.killed_for_memory,
    )


def _describe_end(state: _State) -> str:
    """A program that was killed is told as a shell tells it, 128 and the signal's number."""
    if state.killed_for_memory:
        return KILLED_FOR_MEMORY
    if _SIGNALLED < state.exit_code <= _SIGNALLED + _LAST_SIGNAL:
        return describe_signal(state.exit_code - _SIGNALLED)
    return state.error


class ContainerRunner(ABC):
    """Implements contracts.runner.Runner but for what each engine has in its own way."""

    def __init__(self, layout: Layout, settings: Settings, engine: Engine) -> None:
        self._layout = layout
        self._settings = settings
        self._engine = engine
        self._process = layout.process
        self._mains: dict[Slot, Main] = {}
        self._empty: set[Slot] = set()
        """Slots that had no container when the engine was last asked, or since one was taken away."""

    def check(self) -> Sequence[Finding]:
        subject = f"runner {self._engine.program}"
        if os.geteuid() != 0:
            return [problem(subject, "whose process listens in a container is seen by root only")]
        try:
            done = self._engine.call("version", "--format={{json .}}", patience_s=0.0)
        except StepError as error:
            return [problem(subject, error.what, fix=error.next_command)]
        if not done.ok:
            return [problem(subject, done.output)]
        try:
            find_identity(self._settings.user)
        except StepError as error:
            return [problem("user", error.what)]
        network = self._settings.web.container.network
        if network not in _ALWAYS_THERE and not self._engine.call("network", "inspect", network).ok:
            text, fix = f"there is no network {network}", f"{self._engine.program} network create {network}"
            return [problem(subject, text, fix=fix)]
        return []

    def start(self, slot: Slot, release: Release) -> SlotView:
        is_empty = slot in self._empty
        container = None if is_empty else self._find(slot)
        view = self._view(slot, container)
        if view.status is SlotStatus.RUNNING and view.release == release.number:
            return view
        image = release.manifest.image
        if image is None:
            raise StepError(
                f"{release.label} was made for another runner: it has no image",
                code="image_missing",
                next_command="celadon deploy",
            )
        if container is not None:
            self._remove(slot, container)
            self._end_beside(slot, grace_s=0.0)
        settings = self._settings_of(release)
        self._open(slot, release, settings)
        done = self._run(slot, release, settings=settings, image=image)
        if not done.ok:
            made = self._find(slot)
            if is_empty and made is not None and _NAME_TAKEN.search(done.output):
                return self.start(slot, release)
            if made is not None:
                self._remove(slot, made)
            self._end_beside(slot, grace_s=0.0)
            raise StepError(
                f"{' '.join(done.argv[:2])}: {done.output}", code="start_failed", next_command="celadon check"
            )
        self._empty.discard(slot)
        reached("start_issued")
        return self._view_started(slot, release, printed=done.stdout)

    def _run(self, slot: Slot, release: Release, *, settings: Settings, image: str) -> Completed:
        words = render_run(settings, slot, release, image=image, shared=self._layout.shared, process=self._process)
        words[1:1] = self._list_more(slot)
        outside = self._find_address(slot)
        address = inside_address(settings, outside) if outside is not None else None
        inside = slot_variables(release, slot, address=address, process=self._process)
        broken = find_broken(inside)
        return self._engine.call(
            words[0],
            *(f"--env={name}" for name in sorted(broken)),
            *words[1:],
            stdin=render_variables({name: value for name, value in inside.items() if name not in broken}),
            cwd=self._layout.slot(slot),
            more=broken,
        )

    def _list_more(self, slot: Slot) -> Sequence[str]:  # noqa: ARG002
        """Words for `run` that only this engine knows."""
        return ()

    def _view_started(self, slot: Slot, release: Release, *, printed: str) -> SlotView:  # noqa: ARG002
        return self._view(slot, self._inspect(printed.rsplit(maxsplit=1)[-1]))

    def _end_beside(self, slot: Slot, *, grace_s: float) -> None:  # noqa: B027  most have nothing there
        """Whatever else a start has made in the slot, of an engine that makes more than a container."""

    def observe(self, slot: Slot) -> SlotView:
        """The engine is asked only when the main process is another one than last time: three looks at /proc instead of
        50 ms of a core, four times a second in the window."""
        main = self._mains.get(slot)
        if main is not None and is_alive(main.process):
            return self._view_main(slot, main)
        return self._view(slot, self._find(slot))

    def _view(self, slot: Slot, container: Container | None) -> SlotView:
        """An engine hears of an end a moment after the kernel: until then it has neither the code nor the reason."""
        until_s = time.monotonic() + _HEARS_WITHIN_S
        while (main := self._find_main(container, slot)) is None:
            if container is None or container.state.pid == 0 or time.monotonic() >= until_s:
                return view_ended(container, slot, release=self._read_release(slot))
            time.sleep(_ASK_EVERY_S)
            container = self._inspect(container.id)
        return self._view_main(slot, main)

    def _view_main(self, slot: Slot, main: Main) -> SlotView:
        group = read_group(main.process.pid, named=main.container) or (main.process.pid,)
        own = tuple(pid for pid in group if pid != main.process.pid)
        return SlotView(
            slot=slot,
            status=SlotStatus.RUNNING,
            release=main.release,
            pids=(main.process.pid, *own, *main.forwarders),
            restarts_count=main.restarts_count,
            rss_bytes=sum_rss_bytes(group),
            memory_limit_bytes=main.limit_bytes or self._settings.web.limits.memory_bytes,
        )

    @abstractmethod
    def set_boot(self, slot: Slot, *, enabled: bool) -> None: ...

    def signal(self, slot: Slot, name: str) -> None:
        container = self._find(slot)
        if container is None or container.state.pid == 0:
            return
        done = self._engine.call("kill", f"--signal={name}", container.id)
        if not done.ok and self._view(slot, self._inspect(container.id)).status is SlotStatus.RUNNING:
            raise StepError(
                f"{self._engine.program} kill: {done.output}", code="not_signalled", next_command="celadon status"
            )

    def stop(self, slot: Slot, *, grace_s: float) -> Stopped:
        began_s = time.monotonic()
        container, killed = self._find(slot), False
        if container is not None:
            timeout_s = grace_s + _BEYOND_GRACE_S
            self._engine.call("stop", f"--time={math.ceil(grace_s)}", container.id, timeout_s=timeout_s)
            ended = self._inspect(container.id)
            killed = container.state.pid != 0 and ended is not None and ended.state.exit_code == _SIGNALLED + 9
            self._remove(slot, container)
        self._end_beside(slot, grace_s=max(0.0, grace_s - (time.monotonic() - began_s)))
        clear_slot(self._layout, slot)
        return Stopped(slot=slot, killed=killed, took_s=time.monotonic() - began_s)

    def tail(self, slot: Slot, *, lines_count: int) -> Sequence[str]:
        container = self._find(slot)
        if container is None:
            return tail_file(self._log(slot), lines_count=lines_count)
        return [escape_controls(line) for line in self._read_log(container, lines_count=lines_count).splitlines()]

    def _find_address(self, slot: Slot) -> Address | None:
        """Outside; None of a process that does not listen, and of a replica that is not wanted any more."""
        return self._settings.web.replicas(slot).get(self._process)

    def _settings_of(self, release: Release) -> Settings:
        """A release runs with its own, at the addresses of today."""
        web, now = release.manifest.settings.web, self._settings
        return replace(
            now,
            user=release.manifest.settings.user,
            web=web.at(now.web, *Slot),
            release=release.manifest.settings.release,
            workers=release.manifest.settings.workers,
        )

    def _open(self, slot: Slot, release: Release, settings: Settings) -> None:
        """The variables in the slot's directory are for questions from this machine: they have the port outside."""
        outside = slot_variables(release, slot, address=self._find_address(slot), process=self._process)
        begin_slot(self._layout, slot, variables=outside, identity=None)
        write_atomic(self._layout.slot(slot) / "release", f"{release.label}\n")
        identity = find_identity(settings.user)
        for _, source in _volumes(settings):
            kept = self._layout.shared / source
            if not source.startswith("/") and not kept.exists():
                kept.mkdir(parents=True)
                if identity is not None:
                    os.chown(kept, identity.uid, identity.gid)
        reached("slot_written")

    def _find(self, slot: Slot) -> Container | None:
        """By the three labels, each compared as a whole."""
        labels = (f"{APP}={self._settings.app}", f"{PROCESS}={self._process}", f"{SLOT}={slot}")
        filters = [f"--filter=label={label}" for label in labels]
        listed = self._engine.require("ps", "--all", "--quiet", "--no-trunc", *filters, code="engine_refused")
        ids = listed.split()
        if not ids:
            self._empty.add(slot)
            return None
        self._empty.discard(slot)
        return self._inspect(ids[0])

    def _inspect(self, container: str) -> Container | None:
        """None of one that is gone. Raises StepError for any other reason not to know."""
        done = self._engine.call("container", "inspect", container)
        if done.ok:
            return msgspec.json.decode(done.stdout, type=list[Container])[0]
        if "no such" in done.output.lower():
            return None
        raise StepError(
            f"{self._engine.program} inspect: {done.output}", code="engine_refused", next_command="celadon status"
        )

    def _find_main(self, container: Container | None, slot: Slot) -> Main | None:
        self._mains.pop(slot, None)
        process = identify(container.state.pid) if container is not None and container.state.pid else None
        if container is None or process is None:
            return None
        address = self._find_address(slot)
        self._mains[slot] = Main(
            process=process,
            container=container.id,
            release=container.release,
            restarts_count=container.restart_count,
            forwarders=self._find_forwarders(container, address) if address is not None else (),
            limit_bytes=container.host_config.memory or None,
        )
        return self._mains[slot]

    @abstractmethod
    def _find_forwarders(self, container: Container, address: Address) -> tuple[int, ...]:
        """Processes of the engine that hold the port for this container, and end with it."""

    def _remove(self, slot: Slot, container: Container) -> None:
        """With its anonymous volumes; the last lines of its log stay. Raises StepError."""
        self._mains.pop(slot, None)
        self._log(slot).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._log(slot), self._read_log(container, lines_count=_KEPT_LINES_COUNT), mode=0o600)
        self._engine.require("rm", "--force", "--volumes", container.id, code="not_stopped")
        self._empty.add(slot)

    def _read_log(self, container: Container, *, lines_count: int) -> str:
        """Both of its outputs, in the order of writing. Empty where the engine's log driver cannot be read."""
        done = self._engine.call("logs", f"--tail={lines_count}", container.id, merged=True)
        return done.stdout if done.ok else ""

    def _log(self, slot: Slot) -> Path:
        return self._layout.slot(slot) / "log"

    def _read_release(self, slot: Slot) -> ReleaseNumber | None:
        try:
            return parse_release_label((self._layout.slot(slot) / "release").read_text().strip())
        except (FileNotFoundError, ValueError):
            return None
