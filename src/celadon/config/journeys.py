"""`[[journeys]]` of celadon.toml → journeys, or every mistake in them at once."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from celadon.config import parse as kind
from celadon.config.parse import Kind, ListedMistakes
from celadon.model.journeys import BodyKind, Capture, CaptureKind, Expectation, Journey, JourneyStep

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_VARIABLE_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TIMEOUT = kind.duration(0.1, 3600.0)
_LATENCY = kind.duration(0.001, 600.0)
_EVERY = kind.duration(0.1, 3600.0)
_EVERY_S, _EVERY_COMMAND_S = 1.0, 10.0
_STATUSES = kind.list_of(kind.whole(100, 599))
_BODIES = tuple(BodyKind)

Path = tuple[str | int, ...]


def read_journeys(value: Any) -> tuple[Journey, ...]:
    """Raises ListedMistakes, whose paths begin below `journeys`."""
    reader = _Reader()
    journeys = reader.read(value)
    if reader.mistakes:
        raise ListedMistakes(reader.mistakes)
    return journeys


class _Reader:
    def __init__(self) -> None:
        self.mistakes: list[tuple[Path, str]] = []

    def read(self, value: Any) -> tuple[Journey, ...]:
        journeys = tuple(self._read_journey(each, path) for each, path in self._tables(value, ()))
        names = [journey.name for journey in journeys]
        for index, name in enumerate(names):
            if name and name in names[:index]:
                self._blame((index, "name"), f"is {name!r}, as another journey's")
        return journeys

    def _read_journey(self, table: dict[str, Any], path: Path) -> Journey:
        self._find_unknown(table, path, ("name", "timeout", "every", "command", "steps"))
        name = self._take(table, path, "name", NAME, default=None)
        known = {"run"}
        steps = tuple(
            self._read_step(each, at, known) for each, at in self._tables(table.get("steps", []), (*path, "steps"))
        )
        command = self._take(table, path, "command", kind.TEXT, default="")
        if not table.get("steps") and "command" not in table:
            self._blame((*path, "steps"), "is missing; expected at least one step, or a command")
        elif table.get("steps") and "command" in table:
            self._blame((*path, "command"), "and `steps` exclude each other")
        return Journey(
            name=name or "",
            steps=steps,
            command=command,
            timeout_s=self._take(table, path, "timeout", _TIMEOUT, default=10.0),
            every_s=self._take(table, path, "every", _EVERY, default=_EVERY_COMMAND_S if command else _EVERY_S),
        )

    def _read_step(self, table: dict[str, Any], path: Path, known: set[str]) -> JourneyStep:
        """`known` are the variables so far; this step's captures are added."""
        self._find_unknown(table, path, ("method", "path", "headers", "capture", "expect", *_BODIES))
        used = {name: table[name] for name in ("path", "headers", *_BODIES) if name in table}
        self._check_variables(used, path, known)
        body_kind, body = self._read_body(table, path)
        captures = tuple(self._read_captures(table.get("capture", {}), (*path, "capture")))
        step = JourneyStep(
            method=self._take(table, path, "method", kind.word(*_METHODS), default="GET"),
            path=self._take(table, path, "path", PATH, default=None) or "/",
            headers=self._take(table, path, "headers", kind.HEADERS, default={}),
            body=body,
            body_kind=body_kind,
            captures=captures,
            expect=self._read_expect(table.get("expect", {}), (*path, "expect"), known),
        )
        known |= {capture.name for capture in captures}
        return step

    def _read_body(self, table: dict[str, Any], path: Path) -> tuple[BodyKind, str]:
        given = [each for each in _BODIES if each in table]
        if len(given) > 1:
            self._blame((*path, given[1]), f"and `{given[0]}` exclude each other")
        match given[0] if given else None:
            case BodyKind.JSON:
                return BodyKind.JSON, self._render_json(table["json"], (*path, "json"))
            case BodyKind.FORM:
                fields = self._take(table, path, "form", FORM, default={})
                return BodyKind.FORM, urlencode(fields, safe="{}")
            case _:
                return BodyKind.TEXT, self._take(table, path, "body", BODY, default="")

    def _render_json(self, value: Any, path: Path) -> str:
        try:
            return json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            self._blame(path, "holds a date, a time, inf or nan, which JSON does not know")
            return ""

    def _read_captures(self, table: Any, path: Path) -> Iterator[Capture]:
        if not isinstance(table, dict):
            self._blame(path, "is not a table; expected name = { json = … }, { header = … } or { body = … }")
            return
        for name, where in table.items():
            at = (*path, name)
            if not _VARIABLE_NAME.match(name) or name == "run":
                self._blame(
                    at, f"is no name for a capture; expected one matching {_VARIABLE_NAME.pattern[:-2]}, not run"
                )
            elif not isinstance(where, dict) or len(where) != 1 or next(iter(where)) not in tuple(CaptureKind):
                self._blame(at, "expected one of { json = … }, { header = … } and { body = … }")
            else:
                found = next(iter(where))
                reading = REGEX if found == CaptureKind.BODY else kind.TEXT
                text = self._take(where, at, found, reading, default="")
                yield Capture(name=name, kind=CaptureKind(found), where=text or "")

    def _read_expect(self, table: Any, path: Path, known: set[str]) -> Expectation:
        if not isinstance(table, dict):
            self._blame(path, "is not a table; expected [journeys.steps.expect]")
            return Expectation()
        self._find_unknown(table, path, ("status", "headers", "body_contains", "json", "max_latency"))
        used = {name: table[name] for name in ("headers", "body_contains", "json") if name in table}
        self._check_variables(used, path, known)
        return Expectation(
            statuses=self._take(table, path, "status", _STATUSES, default=(200,)) or (200,),
            headers=self._take(table, path, "headers", kind.HEADERS, default={}),
            body_contains=self._take(table, path, "body_contains", kind.TEXTS, default=()),
            json=self._take(table, path, "json", EXPECTED_JSON, default={}),
            max_latency_s=self._take(table, path, "max_latency", _LATENCY, default=None),
        )

    def _take(self, table: Mapping[str, Any], path: Path, name: str, reading: Kind, *, default: Any) -> Any:
        if name not in table:
            if name in {"name", "path"}:
                self._blame((*path, name), f"is missing; expected {reading.expected}")
            return default
        try:
            return reading.read(table[name])
        except ValueError as error:
            self._blame((*path, name), f"is {error}; expected {reading.expected}")
            return default

    def _tables(self, value: Any, path: Path) -> Iterator[tuple[dict[str, Any], Path]]:
        if not isinstance(value, list):
            self._blame(path, "is not an array of tables")
            return
        for index, each in enumerate(value):
            if isinstance(each, dict):
                yield each, (*path, index)
            else:
                self._blame((*path, index), "is not a table")

    def _check_variables(self, value: Any, path: Path, known: set[str]) -> None:
        match value:
            case str():
                for name in _VARIABLE.findall(value):
                    if name not in known:
                        what = f"uses {{{name}}}, which no step before it captures; known: {', '.join(sorted(known))}"
                        self._blame(path, what)
            case dict():
                for name, each in value.items():
                    self._check_variables(each, (*path, name), known)
            case list():
                for index, each in enumerate(value):
                    self._check_variables(each, (*path, index), known)

    def _find_unknown(self, table: dict[str, Any], path: Path, names: tuple[str, ...]) -> None:
        for name in table:
            if name not in names:
                self._blame((*path, name), f"is not a setting here; expected one of {', '.join(names)}")

    def _blame(self, path: Path, what: str) -> None:
        self.mistakes.append((path, what))


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not pattern.match(kind.TEXT.read(value)):
            raise ValueError(f"{value!r}")
        return str(value)

    return read


def _read_path(value: Any) -> str:
    text: str = kind.TEXT.read(value)
    if not text.startswith(("/", "{")) or any(char in text for char in " \t#"):
        raise ValueError(f"{value!r}")
    return text


def _read_regex(value: Any) -> str:
    text: str = kind.TEXT.read(value)
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return text


def _read_body(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.60}")
    return value


NAME = Kind(expected="a name matching ^[a-z][a-z0-9-]{0,31}$", schema={}, read=_matching(_NAME))
PATH = Kind(expected='a path, as "/cart", or one that starts with a capture', schema={}, read=_read_path)
REGEX = Kind(expected="a regular expression of Python", schema={}, read=_read_regex)
BODY = Kind(expected="a string", schema={}, read=_read_body)
FORM = kind.table_of(BODY, re.compile(r".+\Z"))
EXPECTED_JSON = kind.table_of(kind.SCALAR, re.compile(r".+\Z"))


def show_journeys(journeys: tuple[Journey, ...]) -> str:
    """As inline TOML that reads back as the same journeys."""
    return "[" + ", ".join(_show(_plain_journey(journey)) for journey in journeys) + "]"


def _plain_journey(journey: Journey) -> dict[str, Any]:
    return {
        "name": journey.name,
        "timeout": kind.show_duration(journey.timeout_s),
        "every": kind.show_duration(journey.every_s),
        **(
            {"command": journey.command}
            if journey.command
            else {"steps": [_plain_step(step) for step in journey.steps]}
        ),
    }


def _plain_step(step: JourneyStep) -> dict[str, Any]:
    expect: dict[str, Any] = {
        "status": list(step.expect.statuses),
        "headers": step.expect.headers,
        "body_contains": list(step.expect.body_contains),
        "json": step.expect.json,
    }
    if step.expect.max_latency_s is not None:
        expect["max_latency"] = kind.show_duration(step.expect.max_latency_s)
    given = {
        "headers": step.headers,
        step.body_kind.value: _plain_body(step),
        "capture": {capture.name: {capture.kind.value: capture.where} for capture in step.captures},
        "expect": {name: value for name, value in expect.items() if value},
    }
    return {"method": step.method, "path": step.path} | {name: value for name, value in given.items() if value}


def _plain_body(step: JourneyStep) -> Any:
    match step.body_kind:
        case BodyKind.TEXT:
            return step.body
        case BodyKind.JSON:
            return json.loads(step.body)
        case BodyKind.FORM:
            return dict(parse_qsl(step.body, keep_blank_values=True))


def _show(value: Any) -> str:
    match value:
        case dict():
            return (
                "{"
                + ", ".join(f"{json.dumps(name, ensure_ascii=False)} = {_show(each)}" for name, each in value.items())
                + "}"
            )
        case list():
            return "[" + ", ".join(map(_show, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


JOURNEYS = Kind(
    expected='an array of tables, as [[journeys]], or a file of them beside this one, as "journeys.toml"; see docs/how-to/journeys.md',
    schema={
        "type": ["array", "string"],
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "oneOf": [{"required": ["steps"]}, {"required": ["command"]}],
            "properties": {
                "name": {"type": "string"},
                "timeout": _TIMEOUT.schema,
                "every": _EVERY.schema,
                "command": {"type": "string"},
                "steps": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["path"],
                        "properties": {
                            "method": {"enum": list(_METHODS)},
                            "path": {"type": "string"},
                            "headers": kind.HEADERS.schema,
                            "body": {"type": "string"},
                            "json": {},
                            "form": {"type": "object", "additionalProperties": {"type": "string"}},
                            "capture": {"type": "object"},
                            "expect": {
                                "type": "object",
                                "additionalProperties": False,
                                "properties": {
                                    "status": _STATUSES.schema,
                                    "headers": kind.HEADERS.schema,
                                    "body_contains": kind.TEXTS.schema,
                                    "json": {"type": "object", "additionalProperties": kind.SCALAR.schema},
                                    "max_latency": _LATENCY.schema,
                                },
                            },
                        },
                    },
                },
            },
        },
    },
    read=read_journeys,
    show=show_journeys,
)
