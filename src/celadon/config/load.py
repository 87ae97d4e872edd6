"""celadon.toml → settings, or every mistake in it at once."""

import difflib
import hashlib
from pathlib import Path
from typing import Any

from msgspec import Struct

from celadon.config.build import build_settings, socket_path
from celadon.config.document import Document, show_path
from celadon.config.journeys_file import read_journeys_file
from celadon.config.mistakes import ConfigErrors, Mistake
from celadon.config.parse import ListedMistakes
from celadon.config.procfile import parse_procfile
from celadon.config.table import BY_KEY, DERIVED, REPLICAS, REQUIRED, SETTINGS, SHARES, TABLES, WAYS, Setting
from celadon.model.errors import UsageError
from celadon.model.names import Slot
from celadon.model.processes import RELEASE, WEB
from celadon.model.settings import (
    CONTAINER_RUNNERS,
    DrainWay,
    JudgeKind,
    ProbeKind,
    ProxyKind,
    RunnerKind,
    Settings,
    Strategy,
    SwitchWay,
)

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SUN_PATH_BYTES = 107
_HIGHEST_PORT = 65535
_JOURNEYS = "journeys"
_PROCFILE = "procfile"
_IMAGES = ("web.container.image", "web.container.build", "web.container.archive")
_IN_COMPOSE = (*_IMAGES, *(f"web.container.{name}" for name in ("network", "volumes", "init", "options")))
_LIMITS = tuple(f"web.limits.{name}" for name in ("memory", "cpu", "tasks", "open_files"))


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
    return _Reader(Document(path, raw), root=root).read()


class _Reader:
    def __init__(self, document: Document, *, root: Path) -> None:
        self._document = document
        self._root = root
        self._mistakes: list[Mistake] = []
        self._given: set[str] = set()
        self._bytes = document.raw

    def read(self) -> Loaded:
        document = self._document.tables
        self._find_unknown(document, ())
        self._take_procfile(document)
        values = {setting.key: self._read_setting(document, setting) for setting in SETTINGS}
        self._cross_check(values)
        if self._mistakes:
            own = str(self._document.path)
            order = sorted(self._mistakes, key=lambda each: (each.file != own, each.line, each.column))
            raise ConfigErrors(tuple(order))
        settings = build_settings(values, base=self._document.path.parent, root=self._root)
        digest = f"sha256:{hashlib.sha256(self._bytes).hexdigest()}"
        return Loaded(settings=settings, values=values, given=frozenset(self._given), digest=digest)

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
        if setting.key == _JOURNEYS and isinstance(value, str):
            return self._read_journeys_file(value)
        try:
            return setting.kind.read(value)
        except ListedMistakes as error:
            for below, what in error.mistakes:
                path = (*setting.path, *below)
                self._blame(path, f"`{show_path(path)}` {what}")
            return None
        except ValueError as error:
            self._blame(setting.path, f"`{setting.key}` is {error}; expected {setting.kind.expected}")
            return None

    def _read_journeys_file(self, name: str) -> Any:
        """What it says belongs to the configuration, and to its digest."""
        try:
            journeys, raw = read_journeys_file(self._document.path.parent / name)
        except ConfigErrors as error:
            self._mistakes += error.mistakes
            return None
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self._blame((_JOURNEYS,), f"`{_JOURNEYS}` is {name!r}, a file that cannot be read: {why}")
            return None
        self._bytes += b"\0" + raw
        return journeys

    def _take_procfile(self, document: dict[str, Any]) -> None:
        """Its commands are as if they stood in this file, where this file says none; they belong to the configuration,
        and to its digest."""
        name = document.get(_PROCFILE)
        if not isinstance(name, str):
            return
        path = self._document.path.parent / name
        try:
            raw = path.read_bytes()
            commands = parse_procfile(path, raw.decode())
        except ConfigErrors as error:
            self._mistakes += error.mistakes
            return
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self._blame((_PROCFILE,), f"`{_PROCFILE}` is {name!r}, a file that cannot be read: {why}")
            return
        self._bytes += b"\0" + raw
        for process, command in commands.items():
            table, key = (document, WEB) if process == WEB else (document.setdefault("processes", {}), process)
            word = "command" if process == WEB else "run"
            own = table.setdefault(key, {}) if isinstance(table, dict) else None
            if isinstance(own, dict) and word not in own:
                own[word] = command
                self._given.add("web.command" if process == WEB else "processes")

    def _absent(self, setting: Setting) -> Any:
        if setting.default is REQUIRED:
            self._blame(setting.path, f"`{setting.key}` is missing; expected {setting.kind.expected}")
        return None if setting.default in (REQUIRED, DERIVED) else setting.default

    def _cross_check(self, values: dict[str, Any]) -> None:
        self._check_addresses(values)
        self._check_runner(values)
        self._check_schedules(values)
        if values["readiness.type"] is ProbeKind.COMMAND and values["readiness.command"] is None:
            self._blame(("readiness", "type"), "`readiness.type` is command, but `readiness.command` is missing")
        if values["readiness.json_path"] is not None and values["readiness.json_equals"] is None:
            self._blame(("readiness", "json_path"), "`readiness.json_path` needs `readiness.json_equals`")
        kind, way = values["proxy.type"], values["proxy.switch"]
        if kind is not None and way is not None and way not in WAYS[kind]:
            allowed = ", ".join(WAYS[kind])
            self._blame(("proxy", "switch"), f"`proxy.switch` is {way.value!r}; expected one of {allowed} for {kind}")
        self._check_steps(values["switch.steps"], kind, way)
        if values["switch.strategy"] is Strategy.STOP_FIRST and len(values["switch.steps"] or ()) > 1:
            self._blame(
                ("switch", "steps"), "`switch.steps` needs both releases to run; `switch.strategy` is stop-first"
            )
        self._check_window(values)
        self._check_drain(values)
        self._check_assets(values)
        if kind is ProxyKind.TRAEFIK and values["web.sockets"]:
            self._blame(("web", "sockets"), "Traefik cannot reach an app on a Unix socket; give it two `web.ports`")

    def _check_schedules(self, values: dict[str, Any]) -> None:
        runner, processes = values["web.runner"], values["processes"]
        for worker in processes.workers if processes is not None else ():
            if worker.schedule and runner is not None and runner is not RunnerKind.SYSTEMD:
                path = ("processes", worker.name, "schedule")
                self._blame(path, f"`{'.'.join(path)}` needs the runner systemd; `web.runner` is {runner.value}")

    def _check_runner(self, values: dict[str, Any]) -> None:
        """A container is made of an image, a Compose project of its file, anything else of a command."""
        runner, given = values["web.runner"], [key for key in _IMAGES if values[key] is not None]
        if runner is not None:
            self._check_compose(values, runner)
        if runner not in CONTAINER_RUNNERS:
            if values["web.command"] is None and "web.command" not in self._given:
                expected = BY_KEY["web.command"].kind.expected
                there = (self._document.path.parent / "Procfile").is_file() and values[_PROCFILE] is None
                hint = ', or `procfile = "Procfile"`, since one is there' if there else ""
                self._blame(("web", "command"), f"`web.command` is missing; expected {expected}{hint}")
            return
        if (
            runner is not RunnerKind.COMPOSE
            and len(given) != 1
            and not any(key in self._given and values[key] is None for key in _IMAGES)
        ):
            wanted = ", ".join(f"`{key}`" for key in _IMAGES)
            found = " and ".join(f"`{key}`" for key in given) or "none"
            self._blame(
                ("web", "container"), f"runner {runner.value} takes its image from one of {wanted}; found {found}"
            )
        if values["web.sockets"]:
            self._blame(("web", "sockets"), "an app in a container is reached by a port; give it two `web.ports`")

    def _check_compose(self, values: dict[str, Any], runner: RunnerKind) -> None:
        """What one file says the other does not; a default said aloud changes nothing."""
        is_compose = runner is RunnerKind.COMPOSE
        odd = (*_IN_COMPOSE, *_LIMITS) if is_compose else tuple(key for key in BY_KEY if key.startswith("web.compose."))
        why = (
            "stands in the Compose file" if is_compose else f"is of the runner compose; `web.runner` is {runner.value}"
        )
        for key in sorted(key for key in self._given.intersection(odd) if values[key] != BY_KEY[key].default):
            self._blame(tuple(key.split(".")), f"`{key}` {why}")
        processes, shared = values["processes"], values["web.compose.shared"] or ()
        named = {} if processes is None else {worker.name: worker.service for worker in processes.workers}
        if processes is not None and processes.release is not None:
            named[RELEASE] = processes.release.service
        for name, service in named.items():
            if service and (not is_compose or service in shared):
                what = f"{service!r}, which is shared" if is_compose else why
                self._blame(("processes", name, "service"), f"`processes.{name}.service` {'is ' * is_compose}{what}")
        if is_compose and values["web.compose.service"] in shared:
            self._blame(("web", "compose", "shared"), "`web.compose.shared` has the service that answers requests")

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

    def _check_drain(self, values: dict[str, Any]) -> None:
        timeout_s = values["drain.timeout"]
        for name in ("requests", "idle", "streams"):
            policy = values[f"drain.{name}"]
            given = f"drain.{name}" in self._given
            if policy is not None and policy.way is DrainWay.LINGER:
                self._check_lingering(values)
            elif given and None not in (policy, timeout_s) and policy.after_s > timeout_s:
                self._blame(
                    ("drain", name),
                    f"`drain.{name}` is longer than `drain.timeout`, {timeout_s:g} s, which ends the drain",
                )

    def _check_lingering(self, values: dict[str, Any]) -> None:
        if values["web.sockets"]:
            self._blame(
                ("drain", "streams"), "nothing tells streams from requests on Unix sockets; `linger` needs `web.ports`"
            )
        if values["switch.strategy"] is Strategy.STOP_FIRST:
            self._blame(("drain", "streams"), "nothing lingers beside an app that is stopped first")

    def _check_assets(self, values: dict[str, Any]) -> None:
        if values["assets.path"] is None:
            return
        proxy, kept_count, assets_count = values["proxy.type"], values["keep"], values["assets.keep"]
        if proxy in {ProxyKind.HAPROXY, ProxyKind.TRAEFIK}:
            self._blame(("assets", "path"), f"{proxy} serves no files; expected nginx or caddy for `assets`")
        if None not in (kept_count, assets_count) and assets_count > kept_count:
            place = ("assets", "keep") if "assets.keep" in self._given else ("assets", "path")
            self._blame(place, f"`assets.keep` is {assets_count}, but only {kept_count} releases are kept (`keep`)")

    def _check_addresses(self, values: dict[str, Any]) -> None:
        ports, sockets = values["web.ports"], values["web.sockets"]
        if "web.ports" in self._given and sockets:
            self._blame(("web", "sockets"), "`web.sockets` and `web.ports` exclude each other")
        if "web.ports" not in self._given and not sockets:
            self._blame(("web", "ports"), "`web.ports` is missing; expected two ports, or `sockets = true`")
        count = values["web.replicas"] or 1
        if ports is not None:
            self._check_ports(ports, count=count)
        self._check_replicas(count, values["proxy.type"], values["web.runner"])
        app = values["app"]
        longest = socket_path(self._root, app, Slot.GREEN, number=count) if app is not None else ""
        if sockets and len(longest.encode()) > _SUN_PATH_BYTES:
            self._blame(
                ("web", "sockets"), f"sockets under {self._root} have longer paths than {_SUN_PATH_BYTES} bytes"
            )

    def _check_replicas(self, count: int, proxy: ProxyKind | None, runner: RunnerKind | None) -> None:
        if count > 1 and runner is RunnerKind.COMPOSE:
            self._blame(
                ("web", "replicas"),
                f"`web.replicas` is {count}, but a slot is one project, with one service that answers requests; expected "
                "1, or another `web.runner`",
            )
        if count > 1 and proxy is not None and proxy not in REPLICAS:
            self._blame(
                ("web", "replicas"),
                f"`web.replicas` is {count}, but behind {proxy} a slot has one address; expected 1, or one of "
                f"{', '.join(sorted(REPLICAS))} as `proxy.type`",
            )

    def _check_ports(self, ports: tuple[int, ...], *, count: int) -> None:
        if len(ports) != 2:
            self._blame(("web", "ports"), f"`web.ports` has {len(ports)} ports; expected two, blue's and green's")
        elif ports[0] == ports[1]:
            self._blame(("web", "ports"), f"both slots are on port {ports[0]}; expected two different ports")
        elif abs(ports[0] - ports[1]) < count:
            self._blame(
                ("web", "ports"),
                f"each slot has {count} ports, the replicas' own, from {ports[0]} and from {ports[1]} on: they overlap; "
                f"expected two that are {count} apart or more, as [{min(ports)}, {min(ports) + count}]",
            )
        if max(ports) + count - 1 > _HIGHEST_PORT:
            self._blame(("web", "ports"), f"{count} replicas need ports up to {max(ports) + count - 1}; there is none")
        low, high = read_ephemeral_range()
        taken = {port for first in ports for port in range(first, first + count)}
        for port in sorted(taken):
            if low <= port <= high:
                self._blame(
                    ("web", "ports"),
                    f"port {port} lies in ip_local_port_range ({low} to {high}), where any outgoing connection "
                    "may take it; expected one outside",
                )

    def _blame(self, path: tuple[str | int, ...], what: str, *, near: str | None = None) -> None:
        self._mistakes.append(self._document.mistake(path, what, near=near))


def read_ephemeral_range() -> tuple[int, int]:
    try:
        low, high = _PORT_RANGE.read_text().split()
    except (OSError, ValueError):
        return 32768, 60999
    return int(low), int(high)


def _nearest(path: tuple[str, ...]) -> str | None:
    """A key of the same table first, then any whose last part is near."""
    key = ".".join(path)
    found = difflib.get_close_matches(key, [*BY_KEY, *TABLES], n=1, cutoff=0.75)
    if found:
        return found[0]
    last = {known.rpartition(".")[2]: known for known in BY_KEY}
    near = difflib.get_close_matches(path[-1], last, n=1, cutoff=0.8)
    return last[near[0]] if near else None
