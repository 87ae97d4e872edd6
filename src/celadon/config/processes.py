"""`[processes.NAME]` of celadon.toml → the app's other processes, or every mistake in them at once."""

import json
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from celadon.config import parse as kind
from celadon.config.parse import Kind, ListedMistakes
from celadon.model.processes import RELEASE, WEB, ReleaseCommand


class Field(Struct, frozen=True, kw_only=True):
    """`is_required`: there is no default."""

    kind: Kind
    default: Any = None
    is_required: bool = False


class Processes(Struct, frozen=True, kw_only=True):
    release: ReleaseCommand | None = None


_RUN = Field(kind=kind.TEXT, is_required=True)
_RELEASE: Final[Mapping[str, Field]] = {
    "run": _RUN,
    "timeout": Field(kind=kind.duration(0.1, 86400.0), default=ReleaseCommand(command="").timeout_s),
}


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
        release = None
        for name, table in value.items():
            if not isinstance(table, dict):
                self._blame((name,), f"is not a table; expected [processes.{name}]")
            elif name == WEB:
                self._blame((name,), "stands in [web]: its command is `web.command`")
            elif name == RELEASE:
                release = self._read_release(table)
            else:
                self._blame((name,), f"is no process that is known; expected [processes.{RELEASE}]")
        return Processes(release=release)

    def _read_release(self, table: Mapping[str, Any]) -> ReleaseCommand:
        taken = self._take(table, _RELEASE, RELEASE)
        return ReleaseCommand(command=taken["run"] or "", timeout_s=taken["timeout"])

    def _take(self, table: Mapping[str, Any], fields: Mapping[str, Field], name: str) -> dict[str, Any]:
        for key in table:
            if key not in fields:
                self._blame((name, key), f"is not a setting here; expected one of {', '.join(fields)}")
        return {key: self._take_one(table, key, field, name) for key, field in fields.items()}

    def _take_one(self, table: Mapping[str, Any], key: str, field: Field, name: str) -> Any:
        if key not in table:
            if field.is_required:
                self._blame((name, key), f"is missing; expected {field.kind.expected}")
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
            _RELEASE, {"run": processes.release.command, "timeout": processes.release.timeout_s}
        )
    return "{" + ", ".join(f"{json.dumps(name)} = {table}" for name, table in tables.items()) + "}"


def _show_table(fields: Mapping[str, Field], values: Mapping[str, Any]) -> str:
    shown = (f"{name} = {field.kind.show(values[name])}" for name, field in fields.items() if values[name] is not None)
    return "{" + ", ".join(shown) + "}"


def _schema_of(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in fields.items() if field.is_required],
        "properties": {name: field.kind.schema for name, field in fields.items()},
    }


PROCESSES = Kind(
    expected="tables, as [processes.release]; see docs/how-to/processes.md",
    schema={"type": "object", "additionalProperties": False, "properties": {RELEASE: _schema_of(_RELEASE)}},
    read=read_processes,
    show=show_processes,
)
