"""One systemd unit a slot: `celadon-<app>-<slot>.service`, generated from typed values only."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from celadon.drivers.runners.exits import KILLED_FOR_MEMORY, describe_signal
from celadon.drivers.runners.launch import clear_slot, find_identity, group_name, slot_variables, tail_file, write_slot
from celadon.host.boot import default_units
from celadon.host.checkpoint import reached
from celadon.host.commands import run_command
from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.host.processes import sum_rss_bytes
from celadon.host.units import Systemctl, pids_of
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot, parse_release_label
from celadon.model.observed import Finding, SlotStatus, SlotView, Stopped, problem
from celadon.model.processes import WEB, ProcessSettings, WorkerSettings
from celadon.model.release import Release
from celadon.model.settings import Settings

HARDENING = (
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "ProtectSystem=full",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
)
"""Directives that break next to no web app. Each can be left out by its name (`hardening_off`). Some need
privileges that a user manager lacks and are left out there."""

_USER_MANAGER_LACKS = ("PrivateTmp", "ProtectSystem", "ProtectKernelTunables", "ProtectKernelModules",
                       "ProtectControlGroups", "RestrictSUIDSGID", "LockPersonality", "RestrictRealtime")  # fmt: skip


# Of a unit whose process the kernel killed; systemd tells it where control groups are of the second version.
_OUT_OF_MEMORY = "oom-kill"


_JUDGE_TIMEOUT_S = 10.0


def unit_name(app: str, slot: Slot, *, process: str = WEB) -> str:
    """No name holds a dot: that of one app's process is no other app's."""
    return f"celadon-{app}-{slot}.service" if process == WEB else f"celadon-{app}.{process}-{slot}.service"


def render_unit(
    settings: Settings,
    slot: Slot,
    *,
    process: ProcessSettings,
    name: str,
    directory: Path,
    user_and_group: tuple[str, str] | None,
) -> str:
    """Pure. `directory` is the slot's, `name` the process's. Everything here is a name, a number or a path that was
    checked."""
    web, limits = settings.web, settings.web.limits
    what = settings.app if name == WEB else f"{settings.app} {name}"
    service = [
        "Type=exec",
        f"ExecStart=/bin/sh {_quote(directory / 'launch')}",
        f"EnvironmentFile={escape(str(directory / 'env'))}",
        f"StandardOutput=append:{escape(str(directory / 'log'))}",
        "StandardError=inherit",
        *([f"User={user_and_group[0]}", f"Group={user_and_group[1]}"] if user_and_group else []),
        f"Restart={'no' if process.is_once or process.is_scheduled else 'on-failure'}",
        *(["RemainAfterExit=yes"] if process.is_once else []),
        f"RestartSec={web.systemd.restart_delay_s:g}",
        f"TimeoutStopSec={process.stop_timeout_s:g}",
        *([f"KillSignal={process.stop_signal}"] if process.stop_signal != "SIGTERM" else []),
        f"KillMode={web.systemd.kill_mode}",
        *([f"MemoryMax={limits.memory_bytes}"] if limits.memory_bytes else []),
        *([f"CPUQuota={limits.cpu_percent}%"] if limits.cpu_percent else []),
        *([f"TasksMax={limits.tasks_count}"] if limits.tasks_count else []),
        *([f"LimitNOFILE={limits.open_files_count}"] if limits.open_files_count else []),
        *_hardening(settings),
    ]
    return "\n".join(
        [
            f"# Written by celadon for {what}, slot {slot}. To change it, change celadon.toml and deploy.",
            "[Unit]",
            f"Description={what} ({slot}), deployed by celadon",
            "After=network.target",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            *service,
            "",
            "[Install]",
            f"WantedBy={'default.target' if web.systemd.user_manager else 'multi-user.target'}",
            "",
        ]
    )


def _hardening(settings: Settings) -> list[str]:
    off = set(settings.web.systemd.hardening_off)
    if settings.web.systemd.user_manager:
        off |= set(_USER_MANAGER_LACKS)
    return [directive for directive in HARDENING if directive.partition("=")[0] not in off]


def escape(text: str) -> str:
    return text.replace("%", "%%")


def _quote(path: Path) -> str:
    text = escape(str(path)).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"'


def write_unit(path: Path, text: str) -> bool:
    """True when it was another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text() == text:
        return False
    write_atomic(path, text)
    return True


class SystemdRunner:
    """`unit_directory` is where unit files go: the system's, or the user manager's."""

    def __init__(self, layout: Layout, settings: Settings, *, unit_directory: Path | None = None) -> None:
        self._layout = layout
        self._settings = settings
        self._process = layout.process
        self._user_manager = settings.web.systemd.user_manager
        self._systemctl = Systemctl(user_manager=self._user_manager)
        self._units = unit_directory or default_units(user_manager=self._user_manager)

    def check(self) -> Sequence[Finding]:
        state = self._systemctl.call("is-system-running").stdout.strip()
        if state not in {"running", "degraded", "starting"}:
            text = f"systemd does not manage this machine (is-system-running: {state or 'no answer'})"
            return [problem("runner systemd", text, fix='[web]\nrunner = "process"')]
        if not self._user_manager and os.geteuid() != 0:
            text = "system units need root"
            return [problem("runner systemd", text, fix="[web.systemd]\nuser_manager = true")]
        try:
            find_identity(self._settings.user)
        except StepError as error:
            return [problem("user", error.what)]
        return [found for worker in self._settings.workers if (found := self._check_schedule(worker)) is not None]

    def _check_schedule(self, worker: WorkerSettings) -> Finding | None:
        if not worker.schedule:
            return None
        judged = run_command(["systemd-analyze", "calendar", worker.schedule], timeout_s=_JUDGE_TIMEOUT_S)
        if judged.ok:
            return None
        return problem(f"processes.{worker.name}", f"systemd does not understand its schedule: {judged.output}")

    def start(self, slot: Slot, release: Release) -> SlotView:
        view = self.observe(slot)
        if view.status is SlotStatus.RUNNING and view.release == release.number:
            return view
        self.prepare(slot, release)
        name = self._unit(slot)
        self._systemctl.call("reset-failed", name)
        self._systemctl.require("start", name, code="start_failed")
        reached("start_issued")
        return self.observe(slot)

    def prepare(self, slot: Slot, release: Release) -> None:
        """All but the start."""
        identity = find_identity(release.manifest.settings.user)
        process = release.manifest.settings.process(self._process)
        address = self._settings.web.replicas(slot).get(self._process)
        variables = slot_variables(release, slot, address=address, process=self._process)
        write_slot(self._layout, slot, release, variables=variables, identity=identity)
        write_atomic(self._layout.slot(slot) / "release", f"{release.label}\n")
        names = (identity.name, group_name(identity)) if identity is not None and not self._user_manager else None
        text = render_unit(
            self._settings,
            slot,
            process=process,
            name=self._process,
            directory=self._layout.slot(slot),
            user_and_group=names,
        )
        self._write_unit(slot, text)

    def observe(self, slot: Slot) -> SlotView:
        shown = self._show(slot)
        pids = pids_of(shown)
        view = view_unit(shown, slot, pids=pids, release=self._read_release(slot))
        if view.status is not SlotStatus.RUNNING:
            return view
        limit_bytes = self._settings.web.limits.memory_bytes
        return replace(view, rss_bytes=sum_rss_bytes(pids), memory_limit_bytes=limit_bytes)

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        name = self._unit(slot)
        if not enabled and not (self._units / name).exists():
            return
        self._systemctl.require("enable" if enabled else "disable", "--quiet", name, code="boot_not_set")

    def signal(self, slot: Slot, name: str) -> None:
        done = self._systemctl.call("kill", f"--signal={name}", "--kill-who=main", self._unit(slot))
        if not done.ok and pids_of(self._show(slot)):
            raise StepError(f"systemctl kill: {done.output}", code="not_signalled", next_command="celadon status")

    def stop(self, slot: Slot, *, grace_s: float) -> Stopped:
        """The grace is the unit's TimeoutStopSec; `grace_s` bounds how long this waits beyond systemd's own word."""
        began = time.monotonic()
        name = self._unit(slot)
        if (self._units / name).exists():
            stopped = self._systemctl.call("stop", name, timeout_s=grace_s + self._settings.drain.stop_timeout_s + 15.0)
            left = pids_of(self._show(slot))
            if not stopped.ok and left:
                raise StepError(
                    f"systemctl stop {name}: {stopped.output}", code="not_stopped", next_command="celadon status"
                )
        killed = self._show(slot).get("Result") == "timeout"
        self._systemctl.call("reset-failed", name)
        clear_slot(self._layout, slot)
        return Stopped(slot=slot, killed=killed, took_s=time.monotonic() - began)

    def tail(self, slot: Slot, *, lines_count: int) -> Sequence[str]:
        return tail_file(self._layout.slot(slot) / "log", lines_count=lines_count)

    def _write_unit(self, slot: Slot, text: str) -> None:
        """daemon-reload costs every unit on the machine: only when the text changed."""
        if not write_unit(self._units / self._unit(slot), text):
            return
        reached("unit_written")
        self._systemctl.require("daemon-reload", code="unit_not_loaded")
        reached("unit_loaded")

    def _read_release(self, slot: Slot) -> ReleaseNumber | None:
        try:
            return parse_release_label((self._layout.slot(slot) / "release").read_text().strip())
        except (FileNotFoundError, ValueError):
            return None

    def _show(self, slot: Slot) -> dict[str, str]:
        return self._systemctl.show(self._unit(slot))

    def _unit(self, slot: Slot) -> str:
        return unit_name(self._settings.app, slot, process=self._process)


def view_unit(
    shown: Mapping[str, str], slot: Slot, *, pids: tuple[int, ...], release: ReleaseNumber | None
) -> SlotView:
    """Pure. Between its end and its next start a unit is `activating` and has no process; one that is to end by itself
    and did so well stays `active`."""
    restarts_count = int(shown.get("NRestarts") or 0)
    state, result = shown.get("ActiveState"), shown.get("Result", "success")
    if state in {"active", "activating", "deactivating", "reloading"} and pids:
        return SlotView(slot=slot, status=SlotStatus.RUNNING, release=release, pids=pids, restarts_count=restarts_count)
    ended_well = state == "active" and shown.get("SubState") == "exited"
    if state not in {"failed", "activating"} and not ended_well and result == "success":
        return SlotView(slot=slot, status=SlotStatus.STOPPED, release=release)
    exit_code = _exit_code(shown)
    return SlotView(
        slot=slot,
        status=SlotStatus.EXITED,
        release=release,
        exit_code=exit_code,
        exit_reason="" if ended_well else _describe_result(result, exit_code),
        restarts_count=restarts_count,
        killed_for_memory=result == _OUT_OF_MEMORY,
    )


def _describe_result(result: str, exit_code: int | None) -> str:
    """systemd's own word, but for what it says less plainly than we can."""
    if result == _OUT_OF_MEMORY:
        return KILLED_FOR_MEMORY
    if result == "signal" and exit_code is not None and exit_code < 0:
        return describe_signal(-exit_code)
    return result


def _exit_code(shown: Mapping[str, str]) -> int | None:
    """ExecMainCode 1 is an exit, 2 and 3 a signal."""
    status = shown.get("ExecMainStatus", "")
    if not status.isdigit():
        return None
    return int(status) if shown.get("ExecMainCode") == "1" else -int(status)
