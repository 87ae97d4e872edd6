"""celadon.toml → settings, or every mistake in it at once."""

import difflib
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

from msgspec import Struct

from celadon.config.build import build_settings, socket_path
from celadon.config.mistakes import ConfigErrors, Mistake
from celadon.config.parse import ListedMistakes
from celadon.config.positions import Position, find_positions
from celadon.config.table import BY_KEY, DERIVED, REQUIRED, SETTINGS, SHARES, TABLES, WAYS, Setting
from celadon.model.errors import UsageError
from celadon.model.names import Slot
from celadon.model.settings import JudgeKind, ProbeKind, ProxyKind, Settings, SwitchWay

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SUN_PATH_BYTES = 107
_SYNTAX_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)\Z", re.DOTALL)
_LARGEST_BYTES = 1 << 20


class Loaded(Struct, frozen=True, kw_only=True):
    """`given` are the keys that the file sets; everything else is a default."""

    settings: Settings
    values: dict[str, Any]
    given: frozenset[str]
    digest: str


def load_settings(path: Path, *, root: Path) -> Loaded:
    """Raises ConfigErrors. `root` is the state directory: socket slots listen there."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"{path} is not there", code="config_missing", next_command="celadon init") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", code="config_missing", next_command=f"ls -l {path}") from error
    reader = _Reader(path, raw, root=root)
    return reader.read()


class _Reader:
    def __init__(self, path: Path, raw: bytes, *, root: Path) -> None:
        self._path = path
        self._raw = raw
        self._root = root
        self._mistakes: list[Mistake] = []
        self._positions: dict[tuple[str | int, ...], Position] = {}
        self._given: set[str] = set()

    def read(self) -> Loaded:
        document = self._parse()
        self._find_unknown(document, ())
        values = {setting.key: self._read_setting(document, setting) for setting in SETTINGS}
        self._cross_check(values)
        if self._mistakes:
            raise ConfigErrors(tuple(sorted(self._mistakes, key=lambda each: (each.line, each.column))))
        settings = build_settings(values, base=self._path.parent, root=self._root)
        digest = f"sha256:{hashlib.sha256(self._raw).hexdigest()}"
        return Loaded(settings=settings, values=values, given=frozenset(self._given), digest=digest)

    def _parse(self) -> dict[str, Any]:
        if len(self._raw) > _LARGEST_BYTES:
            raise ConfigErrors((self._mistake_at(Position(1, 1), "", "the file is larger than 1 MiB"),))
        try:
            text = self._raw.decode()
        except UnicodeDecodeError as error:
            line = self._raw.count(b"\n", 0, error.start) + 1
            raise ConfigErrors((self._mistake_at(Position(line, 1), "", "this is not UTF-8"),)) from error
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ConfigErrors((self._syntax_mistake(str(error), text),)) from error
        self._positions = find_positions(text.replace("\r\n", "\n"))
        return document

    def _syntax_mistake(self, message: str, text: str) -> Mistake:
        match = _SYNTAX_PLACE.match(message)
        if match is None:
            return self._mistake_at(Position(1, 1), "", f"this is no TOML: {message}")
        line = int(match.group(2) or text.count("\n") + 1)
        return self._mistake_at(Position(line, int(match.group(3) or 1)), "", f"this is no TOML: {match.group(1)}")

    def _find_unknown(self, table: dict[str, Any], prefix: tuple[str, ...]) -> None:
        for name, value in table.items():
            path = (*prefix, name)
            key = ".".join(path)
            if key in BY_KEY:
                self._given.add(key)
            elif key in TABLES:
                if isinstance(value, dict):
                    self._find_unknown(value, path)
                else:
                    self._blame(path, f"`{key}` is a table, as [{key}]")
            else:
                self._blame(path, f"`{key}` is not a setting.", near=_nearest(path))

    def _read_setting(self, document: dict[str, Any], setting: Setting) -> Any:
        value: Any = document
        for name in setting.path:
            if not isinstance(value, dict) or name not in value:
                return self._absent(setting)
            value = value[name]
        try:
            return setting.kind.read(value)
        except ListedMistakes as error:
            for below, what in error.mistakes:
                path = (*setting.path, *below)
                self._blame(path, f"`{_show_path(path)}` {what}")
            return None
        except ValueError as error:
            self._blame(setting.path, f"`{setting.key}` is {error}; expected {setting.kind.expected}")
            return None

    def _absent(self, setting: Setting) -> Any:
        if setting.default is REQUIRED:
            self._blame(setting.path, f"`{setting.key}` is missing; expected {setting.kind.expected}")
        return None if setting.default in (REQUIRED, DERIVED) else setting.default

    def _cross_check(self, values: dict[str, Any]) -> None:
        self._check_addresses(values)
        if values["readiness.type"] is ProbeKind.COMMAND and values["readiness.command"] is None:
            self._blame(("readiness", "type"), "`readiness.type` is command, but `readiness.command` is missing")
        if values["readiness.json_path"] is not None and values["readiness.json_equals"] is None:
            self._blame(("readiness", "json_path"), "`readiness.json_path` needs `readiness.json_equals`")
        kind, way = values["proxy.type"], values["proxy.switch"]
        if kind is not None and way is not None and way not in WAYS[kind]:
            allowed = ", ".join(WAYS[kind])
            self._blame(("proxy", "switch"), f"`proxy.switch` is {way.value!r}; expected one of {allowed} for {kind}")
        self._check_steps(values["switch.steps"], kind, way)
        self._check_window(values)
        if kind is ProxyKind.TRAEFIK and values["web.sockets"]:
            self._blame(("web", "sockets"), "Traefik cannot reach an app on a Unix socket; give it two `web.ports`")

    def _check_steps(self, steps: tuple[int, ...] | None, kind: ProxyKind | None, way: SwitchWay | None) -> None:
        if steps is None:
            return
        place = ("switch", "steps")
        if steps[-1:] != (100,) or list(steps) != sorted(set(steps)):
            self._blame(place, "`switch.steps` must grow and end with 100%")
        elif len(steps) > 1 and kind is not None and way not in SHARES.get(kind, ()):
            self._blame(place, f"{kind} cannot give a share of the traffic by `proxy.switch = {str(way)!r}`")

    def _check_window(self, values: dict[str, Any]) -> None:
        window_s, longest_s, shortest_s = (values[f"observe.{name}"] for name in ("window", "max_window", "min_window"))
        if None not in (window_s, longest_s) and longest_s < window_s:
            self._blame(
                ("observe", "max_window"), f"`observe.max_window` is shorter than `observe.window`, {window_s:g} s"
            )
        if None not in (window_s, shortest_s) and shortest_s > window_s:
            self._blame(
                ("observe", "min_window"), f"`observe.min_window` is longer than `observe.window`, {window_s:g} s"
            )
        if values["observe.judge"] is JudgeKind.THRESHOLDS and values["observe.max_error_rate"] is None:
            self._blame(("observe", "judge"), "`observe.judge` is thresholds, but `observe.max_error_rate` is missing")

    def _check_addresses(self, values: dict[str, Any]) -> None:
        ports, sockets = values["web.ports"], values["web.sockets"]
        if "web.ports" in self._given and sockets:
            self._blame(("web", "sockets"), "`web.sockets` and `web.ports` exclude each other")
        if "web.ports" not in self._given and not sockets:
            self._blame(("web", "ports"), "`web.ports` is missing; expected two ports, or `sockets = true`")
        if ports is not None:
            self._check_ports(ports)
        app = values["app"]
        if sockets and app is not None and len(socket_path(self._root, app, Slot.GREEN).encode()) > _SUN_PATH_BYTES:
            self._blame(
                ("web", "sockets"), f"sockets under {self._root} have longer paths than {_SUN_PATH_BYTES} bytes"
            )

    def _check_ports(self, ports: tuple[int, ...]) -> None:
        if len(ports) != 2:
            self._blame(("web", "ports"), f"`web.ports` has {len(ports)} ports; expected two, blue's and green's")
        elif ports[0] == ports[1]:
            self._blame(("web", "ports"), f"both slots are on port {ports[0]}; expected two different ports")
        low, high = read_ephemeral_range()
        for port in sorted(set(ports)):
            if low <= port <= high:
                self._blame(
                    ("web", "ports"),
                    f"port {port} lies in ip_local_port_range ({low} to {high}), where any outgoing connection "
                    "may take it; expected one outside",
                )

    def _blame(self, path: tuple[str | int, ...], what: str, *, near: str | None = None) -> None:
        """At the key, or at the nearest table around it, or at the top."""
        place = Position(1, 1)
        for length in range(len(path), 0, -1):
            if path[:length] in self._positions:
                place = self._positions[path[:length]]
                break
        self._mistakes.append(self._mistake_at(place, _show_path(path), what, near=near))

    def _mistake_at(self, place: Position, key: str, what: str, *, near: str | None = None) -> Mistake:
        return Mistake(file=str(self._path), line=place.line, column=place.column, key=key, what=what, near=near)


def read_ephemeral_range() -> tuple[int, int]:
    try:
        low, high = _PORT_RANGE.read_text().split()
    except (OSError, ValueError):
        return 32768, 60999
    return int(low), int(high)


def _show_path(path: tuple[str | int, ...]) -> str:
    """Elements of arrays are counted from 1, as people do."""
    parts = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _nearest(path: tuple[str, ...]) -> str | None:
    """A key of the same table first, then any whose last part is near."""
    key = ".".join(path)
    found = difflib.get_close_matches(key, [*BY_KEY, *TABLES], n=1, cutoff=0.75)
    if found:
        return found[0]
    last = {known.rpartition(".")[2]: known for known in BY_KEY}
    near = difflib.get_close_matches(path[-1], last, n=1, cutoff=0.8)
    return last[near[0]] if near else None
