"""`[processes.NAME]` of celadon.toml → the app's other processes, or every mistake in them at once."""

import json
import re
import signal
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from celadon.config import parse as kind
from celadon.config.parse import Kind, ListedMistakes
from celadon.model.processes import RELEASE, WEB, Handover, ReleaseCommand, WorkerSettings


class Field(Struct, frozen=True, kw_only=True):
    kind: Kind
    default: Any = None


class Processes(Struct, frozen=True, kw_only=True):
    release: ReleaseCommand | None = None
    workers: tuple[WorkerSettings, ...] = ()


def _read_signal(value: Any) -> str:
    name = kind.TEXT.read(value)
    if name not in _SIGNALS:
        raise ValueError(f"{value!r}")
    return str(name)


NAME = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_UNHEARD = {signal.SIGKILL, signal.SIGSTOP}
_SIGNALS = {each.name for each in signal.Signals if each not in _UNHEARD}
_SIGNAL = Kind(
    expected='a signal that a program can hear, as "SIGTERM"',
    schema={"type": "string", "pattern": "^SIG[A-Z0-9]+$"},
    read=_read_signal,
    show=kind.TEXT.show,
)


def _read_schedule(value: Any) -> str:
    if not _CALENDAR.match(kind.TEXT.read(value)):
        raise ValueError(f"{value!r}")
    return str(value)


_CALENDAR = re.compile(r"[A-Za-z0-9*:/,.~ +-]{1,100}\Z")
_SCHEDULE = Kind(
    expected='a calendar expression of systemd, as "*-*-* 03:00:00"',
    schema={"type": "string", "pattern": "^[A-Za-z0-9*:/,.~ +-]{1,100}$"},
    read=_read_schedule,
    show=kind.TEXT.show,
)
_BEAT = Kind(
    expected='a path inside the release, as "tmp/{process}.beat"',
    schema={"type": "string"},
    read=kind.INSIDE.read,
    show=kind.TEXT.show,
)
_USUAL = WorkerSettings(name="", command="")
_RUN = Field(kind=kind.TEXT)
_SERVICE = Field(kind=kind.SERVICE)
_RELEASE: Final[Mapping[str, Field]] = {
    "run": _RUN,
    "service": _SERVICE,
    "timeout": Field(kind=kind.duration(0.1, 86400.0), default=ReleaseCommand(command="").timeout_s),
}


_WORKER: Final[Mapping[str, Field]] = {
    "run": _RUN,
    "service": _SERVICE,
    "handover": Field(kind=kind.choice(Handover), default=_USUAL.handover),
    "quiet_signal": Field(kind=_SIGNAL),
    "stop_signal": Field(kind=_SIGNAL, default=_USUAL.stop_signal),
    "grace": Field(kind=kind.duration(0.1, 86400.0), default=_USUAL.grace_s),
    "idle": Field(kind=kind.TEXT),
    "replicas": Field(kind=kind.whole(1, 100), default=_USUAL.replicas_count),
    "heartbeat_file": Field(kind=_BEAT),
    "heartbeat_command": Field(kind=kind.TEXT),
    "heartbeat_max_age": Field(kind=kind.duration(1.0, 86400.0), default=_USUAL.heartbeat_max_age_s),
    "queue_depth": Field(kind=kind.TEXT),
    "max_queue_depth": Field(kind=kind.whole(0, 1_000_000_000)),
    "schedule": Field(kind=_SCHEDULE),
}
_NOT_OF_TIMERS = (
    "handover", "quiet_signal", "stop_signal", "idle", "replicas", "heartbeat_file", "heartbeat_command",
    "heartbeat_max_age",
)  # fmt: skip


def read_processes(value: Any) -> Processes:
    """Raises ListedMistakes, whose paths begin below `processes`."""
    if not isinstance(value, dict):
        raise ListedMistakes([((), "is not a table; expected [processes.NAME]")])
    reader = _Reader()
    processes = reader.read(value)
    if reader.mistakes:
        raise ListedMistakes(reader.mistakes)
    return processes


class _Reader:
    def __init__(self) -> None:
        self.mistakes: list[tuple[tuple[str | int, ...], str]] = []

    def read(self, value: Mapping[str, Any]) -> Processes:
        release, workers = None, []
        for name, table in value.items():
            if not isinstance(table, dict):
                self._blame((name,), f"is not a table; expected [processes.{name}]")
            elif name == WEB:
                self._blame((name,), "stands in [web]: its command is `web.command`")
            elif name == RELEASE:
                release = self._read_release(table)
            elif not NAME.match(name):
                self._blame((name,), "is no name for a process; expected one matching ^[a-z][a-z0-9-]{0,31}$")
            else:
                workers.append(self._read_worker(table, name))
        return Processes(release=release, workers=tuple(workers))

    def _read_release(self, table: Mapping[str, Any]) -> ReleaseCommand:
        taken = self._take(table, _RELEASE, RELEASE)
        return ReleaseCommand(command=taken["run"] or "", timeout_s=taken["timeout"], service=taken["service"] or "")

    def _read_worker(self, table: Mapping[str, Any], name: str) -> WorkerSettings:
        taken = self._take(table, _WORKER, name)
        if "heartbeat_file" in table and "heartbeat_command" in table:
            self._blame((name, "heartbeat_command"), "and `heartbeat_file` exclude each other")
        if ("queue_depth" in table) != ("max_queue_depth" in table):
            given = "queue_depth" if "queue_depth" in table else "max_queue_depth"
            self._blame((name, given), "needs the other one of `queue_depth` and `max_queue_depth`")
        for other in _NOT_OF_TIMERS if "schedule" in table else ():
            if other in table:
                self._blame((name, other), "and `schedule` exclude each other")
        return WorkerSettings(
            name=name,
            command=taken["run"] or "",
            handover=taken["handover"],
            quiet_signal=taken["quiet_signal"] or "",
            stop_signal=taken["stop_signal"],
            grace_s=taken["grace"],
            idle=taken["idle"] or "",
            replicas_count=taken["replicas"],
            heartbeat_file=taken["heartbeat_file"] or "",
            heartbeat_command=taken["heartbeat_command"] or "",
            heartbeat_max_age_s=taken["heartbeat_max_age"],
            queue_depth=taken["queue_depth"] or "",
            max_queue_depth=taken["max_queue_depth"],
            schedule=taken["schedule"] or "",
            service=taken["service"] or "",
        )

    def _take(self, table: Mapping[str, Any], fields: Mapping[str, Field], name: str) -> dict[str, Any]:
        for key in table:
            if key not in fields:
                self._blame((name, key), f"is not a setting here; expected one of {', '.join(fields)}")
        if "run" not in table and "service" not in table:
            self._blame((name, "run"), f"is missing; expected {_RUN.kind.expected}")
        return {key: self._take_one(table, key, field, name) for key, field in fields.items()}

    def _take_one(self, table: Mapping[str, Any], key: str, field: Field, name: str) -> Any:
        if key not in table:
            return field.default
        try:
            return field.kind.read(table[key])
        except ValueError as error:
            self._blame((name, key), f"is {error}; expected {field.kind.expected}")
            return field.default

    def _blame(self, path: tuple[str | int, ...], what: str) -> None:
        self.mistakes.append((path, what))


def show_processes(processes: Processes) -> str:
    """As inline TOML that reads back as the same."""
    tables = {}
    if processes.release is not None:
        tables[RELEASE] = _show_table(
            _RELEASE,
            {
                "run": processes.release.command or None,
                "service": processes.release.service or None,
                "timeout": processes.release.timeout_s,
            },
        )
    for worker in processes.workers:
        tables[worker.name] = _show_table(_WORKER, _plain_worker(worker))
    return "{" + ", ".join(f"{json.dumps(name)} = {table}" for name, table in tables.items()) + "}"


def _plain_worker(worker: WorkerSettings) -> dict[str, Any]:
    return {
        "run": worker.command or None,
        "service": worker.service or None,
        "handover": worker.handover,
        "quiet_signal": worker.quiet_signal or None,
        "stop_signal": worker.stop_signal,
        "grace": worker.grace_s,
        "idle": worker.idle or None,
        "replicas": worker.replicas_count,
        "heartbeat_file": worker.heartbeat_file or None,
        "heartbeat_command": worker.heartbeat_command or None,
        "heartbeat_max_age": worker.heartbeat_max_age_s,
        "queue_depth": worker.queue_depth or None,
        "max_queue_depth": worker.max_queue_depth,
        "schedule": worker.schedule or None,
    }


def _show_table(fields: Mapping[str, Field], values: Mapping[str, Any]) -> str:
    shown = (f"{name} = {field.kind.show(values[name])}" for name, field in fields.items() if values[name] is not None)
    return "{" + ", ".join(shown) + "}"


def _schema_of(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": ["run"]}, {"required": ["service"]}],
        "properties": {name: field.kind.schema for name, field in fields.items()},
    }


PROCESSES = Kind(
    expected="tables, as [processes.release] and [processes.mail]; see docs/how-to/processes.md",
    schema={
        "type": "object",
        "properties": {RELEASE: _schema_of(_RELEASE), WEB: False},
        "additionalProperties": _schema_of(_WORKER),
    },
    read=read_processes,
    show=show_processes,
)
