"""Plain processes: the embedded default, for machines and users without a service manager.

A slot's processes carry a mark in their environment. It is what finds them again after this program died between
the fork and the record, and after they have daemonised away; the recorded pid is only the quickest way to look.
Nothing here restarts an app that crashes: `check` says so.
"""

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from io import BufferedWriter
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.drivers.runners.exits import describe_signal
from celadon.drivers.runners.launch import Identity, clear_slot, find_identity, slot_variables, tail_file, write_slot
from celadon.host.checkpoint import reached
from celadon.host.environment import base_variables
from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.host.processes import (
    ProcessFinder,
    ProcessIdentity,
    ProcessWatch,
    end_processes,
    identify_child,
    is_alive,
    signal_process,
    sum_rss_bytes,
)
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import Finding, FindingLevel, SlotStatus, SlotView, Stopped
from celadon.model.release import Release
from celadon.model.settings import Settings


class _Record(Struct, frozen=True):
    """`process.json`: what was started last in a slot. `process` None: the intent only. `stop_signal` goes to the main
    process; empty: SIGTERM to all, as it always was for the one that answers requests."""

    release: ReleaseNumber
    process: ProcessIdentity | None = None
    stopped: bool = False
    exit_code: int | None = None
    stop_signal: str = ""


class ProcessRunner:
    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._watched: dict[Slot, tuple[ProcessIdentity | None, ProcessWatch]] = {}

    def check(self) -> Sequence[Finding]:
        findings = [
            Finding(
                level=FindingLevel.WARNING,
                subject="runner process",
                text="an app that crashes is not started again, and after a reboot `celadon recover` starts it",
                fix='[web]\nrunner = "systemd"',
            )
        ]
        limits = self._settings.web.limits
        if limits.memory_bytes or limits.cpu_percent or limits.tasks_count:
            text = "memory, cpu and tasks limits need the systemd runner; here they are not enforced"
            findings.append(Finding(level=FindingLevel.WARNING, subject="runner process", text=text))
        try:
            find_identity(self._settings.user)
        except StepError as error:
            findings.append(Finding(level=FindingLevel.PROBLEM, subject="user", text=error.what))
        return findings

    def start(self, slot: Slot, release: Release) -> SlotView:
        record = self._read(slot)
        if record is not None and record.release == release.number and self._alive(record, slot):
            return self.observe(slot)
        identity = find_identity(release.manifest.settings.user)
        process = release.manifest.settings.process(self._layout.process)
        address = self._settings.web.replicas(slot).get(self._layout.process)
        variables = slot_variables(release, slot, address=address, process=self._layout.process)
        variables = _base_variables(identity) | variables | {_MARK: self._mark_value(slot)}
        launch = write_slot(self._layout, slot, release, variables=variables, identity=identity)
        record = _Record(release.number, stop_signal="" if process.listens else process.stop_signal)
        self._write(slot, record)
        pid = self._spawn(launch, slot, variables=variables, identity=identity)
        reached("start_issued")
        self._write(slot, msgspec.structs.replace(record, process=identify_child(pid)))
        return SlotView(slot=slot, status=SlotStatus.RUNNING, release=release.number, pids=(pid,))

    def observe(self, slot: Slot) -> SlotView:
        record = self._read(slot)
        pids = self._watch(slot, record)()
        if record is None or record.stopped:
            status = SlotStatus.RUNNING if pids else SlotStatus.STOPPED
            release = record.release if record is not None else None
            return SlotView(slot=slot, status=status, release=release, pids=tuple(pids), rss_bytes=sum_rss_bytes(pids))
        if not pids:
            exit_code = self._learn_exit_code(slot, record)
            return SlotView(
                slot=slot,
                status=SlotStatus.EXITED,
                release=record.release,
                exit_code=exit_code,
                exit_reason=_describe_exit(exit_code),
            )
        main = record.process.pid if record.process is not None else pids[0]
        ordered = tuple(sorted(pids, key=lambda pid: (pid != main, pid)))
        return SlotView(
            slot=slot,
            status=SlotStatus.RUNNING,
            release=record.release,
            pids=ordered,
            rss_bytes=sum_rss_bytes(pids),
        )

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        """Nothing starts plain processes at boot; `celadon recover` does when it is run."""

    def signal(self, slot: Slot, name: str) -> None:
        record = self._read(slot)
        signal_process(record.process if record is not None else None, name)

    def stop(self, slot: Slot, *, grace_s: float) -> Stopped:
        began = time.monotonic()
        record = self._read(slot)
        try:
            killed = end_processes(self._finder(slot, record), grace_s=grace_s, ask=lambda: _ask_main(record))
        except TimeoutError as error:
            raise StepError(f"slot {slot}: {error}", code="not_stopped", next_command="celadon status") from error
        if record is not None:
            _reap_code(record.process)
            self._write(slot, msgspec.structs.replace(record, stopped=True))
        clear_slot(self._layout, slot)
        return Stopped(slot=slot, killed=killed, took_s=time.monotonic() - began)

    def tail(self, slot: Slot, *, lines_count: int) -> Sequence[str]:
        return tail_file(self._layout.slot(slot) / "log", lines_count=lines_count)

    def _spawn(self, launch: Path, slot: Slot, *, variables: dict[str, str], identity: Identity | None) -> int:
        drop = identity if identity is not None and os.geteuid() == 0 else None
        files_count = self._settings.web.limits.open_files_count
        try:
            with _open_log(self._layout.slot(slot) / "log") as log:
                process = subprocess.Popen(
                    ["/bin/sh", str(launch)],
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    user=drop.uid if drop else None,
                    group=drop.gid if drop else None,
                    extra_groups=drop.groups if drop else None,
                    preexec_fn=None if files_count is None else _limit_files(files_count),  # noqa: PLW1509  no threads here
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise StepError(
                f"start the app in {slot}: {error}", code="start_failed", next_command="celadon check"
            ) from error
        # Python reaps children that are not known to have ended, when it forgets them or starts another one; the
        # exit code is for `observe` to read.
        process.returncode = 0
        return process.pid

    def _alive(self, record: _Record, slot: Slot) -> bool:
        alive = record.process is not None and is_alive(record.process)
        return (alive and not record.stopped) or bool(self._finder(slot, record)())

    def _learn_exit_code(self, slot: Slot, record: _Record) -> int | None:
        """The kernel tells it once, and to the parent only: it is kept with the record."""
        if record.exit_code is None and (exit_code := _reap_code(record.process)) is not None:
            self._write(slot, msgspec.structs.replace(record, exit_code=exit_code))
            return exit_code
        return record.exit_code

    def _watch(self, slot: Slot, record: _Record | None) -> ProcessWatch:
        """One for as long as the same process was started last."""
        process = record.process if record is not None else None
        known = self._watched.get(slot)
        if known is None or known[0] != process:
            known = self._watched[slot] = process, ProcessWatch(self._finder(slot, record))
        return known[1]

    def _finder(self, slot: Slot, record: _Record | None) -> ProcessFinder:
        return ProcessFinder(self._mark(slot), leader=record.process if record is not None else None)

    def _mark_value(self, slot: Slot) -> str:
        return str(self._layout.slot(slot))

    def _mark(self, slot: Slot) -> bytes:
        return f"{_MARK}={self._mark_value(slot)}".encode()

    def _read(self, slot: Slot) -> _Record | None:
        try:
            return msgspec.json.decode((self._layout.slot(slot) / "process.json").read_bytes(), type=_Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _write(self, slot: Slot, record: _Record) -> None:
        write_atomic(self._layout.slot(slot) / "process.json", msgspec.json.encode(record))


def _ask_main(record: _Record | None) -> bool:
    """A worker's children are its own to end, as under systemd and in a container."""
    return bool(record and record.stop_signal and signal_process(record.process, record.stop_signal))


_MARK = "CELADON_SLOT_DIRECTORY"


def _base_variables(identity: Identity | None) -> dict[str, str]:
    if identity is None:
        return base_variables(os.environ.get("HOME", "/"))
    return base_variables(identity.home) | {"USER": identity.name, "LOGNAME": identity.name}


def _open_log(path: Path) -> "contextlib.closing[BufferedWriter]":
    return contextlib.closing(path.open("ab"))


def _limit_files(count: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def _reap_code(process: ProcessIdentity | None) -> int | None:
    """The exit code, when the process was our own child and has just ended."""
    if process is None:
        return None
    try:
        pid, status = os.waitpid(process.pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if pid else None


def _describe_exit(exit_code: int | None) -> str:
    if exit_code is None:
        return "it ended; whether by itself is not known, since another process had started it"
    if exit_code < 0:
        return describe_signal(-exit_code)
    return "127 usually means: command not found" if exit_code == 127 else ""
