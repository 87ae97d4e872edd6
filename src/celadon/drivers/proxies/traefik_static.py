"""Traefik's static configuration: what a route of ours depends on and only a restart of Traefik changes. Reads only.

Traefik takes it from one place: its file, or else its flags, or else its environment. Names are compared without
case, as Traefik does.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from celadon.drivers.proxies.traefik_dynamic import parse_document
from celadon.model.errors import StepError

_DURATION = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DEFAULT_THROTTLE_S = 2.0
_FLAG = re.compile(r"--?([A-Za-z][A-Za-z0-9_.\[\]-]*)(?:=(.*))?", re.DOTALL)


class AccessLog(Struct, frozen=True, kw_only=True):
    """`path` is empty where Traefik writes it to its standard output. `hidden`: the option that keeps lines or fields
    out."""

    path: str = ""
    is_json: bool = False
    buffered_count: int = 0
    hidden: str = ""


class EntryPoint(Struct, frozen=True, kw_only=True):
    """`tls`: every router on it has TLS. `default`: of those that routers without any are on."""

    address: str
    tls: bool = False
    default: bool = False


_NEEDED = (
    "clienthost",
    "downstreamstatus",
    "duration",
    "requestmethod",
    "requestpath",
    "routername",
    "serviceaddr",
    "servicename",
    "startutc",
)
"""Fields of a line that a visitor is read from; `RequestCount` names the request besides."""

_OWN_ENTRY_POINT = "traefik"
_OWN_ADDRESS = EntryPoint(address=":8080")
"""Traefik makes it where it is named and not defined."""


class StaticConfig(Struct, frozen=True, kw_only=True):
    """`origin` is the file, or the words for the flags. `access_log` None:
    there is none. `metrics` is where Traefik tells what it counts of each service, None where it does not."""

    origin: str
    entry_points: dict[str, EntryPoint] = field(default_factory=dict)
    directory: str = ""
    filename: str = ""
    watch: bool = True
    throttle_s: float = _DEFAULT_THROTTLE_S
    api: bool = False
    api_insecure: bool = False
    access_log: AccessLog | None = None
    metrics: EntryPoint | None = None
    rule_syntax: str = "v3"


def read_static(path: Path, *, arguments: Sequence[str] = ()) -> StaticConfig:
    """`arguments` are those of the running Traefik, for one that is configured by flags. Raises StepError."""
    try:
        document = parse_document(path.read_text(), path)
    except FileNotFoundError:
        document = parse_flags(arguments)
        if not document:
            raise StepError(
                f"{path} is not there, and no running Traefik has flags",
                code="proxy_config_missing",
                next_command="celadon config  # proxy.config",
            ) from None
        return parse_static(document, origin="the flags of the running Traefik")
    except (OSError, ValueError) as error:
        raise StepError(f"{path}: {error}", code="proxy_config_refused", next_command=f"ls -l {path}") from error
    return parse_static(document, origin=str(path))


def parse_flags(arguments: Sequence[str]) -> dict[str, Any]:
    """`--a.b=c` as the tables that a file would have; a flag without a value is true."""
    found: dict[str, Any] = {}
    for argument in arguments:
        flag = _FLAG.fullmatch(argument)
        if flag is None:
            continue
        *tables, last = flag[1].split(".")
        place = found
        for name in tables:
            place = _enter(place, name)
        place.setdefault(last, "true" if flag[2] is None else flag[2])
    return found


def _enter(place: dict[str, Any], name: str) -> dict[str, Any]:
    """The table of that name, in whatever case it was first written; `--api` before `--api.insecure` is one too."""
    known = next((each for each in place if each.lower() == name.lower()), name)
    if not isinstance(place.get(known), dict):
        place[known] = {}
    nested: dict[str, Any] = place[known]
    return nested


def parse_static(document: Mapping[str, Any], *, origin: str) -> StaticConfig:
    root = _lower(document)
    entry_points = {name: _parse_entry_point(_lower(body)) for name, body in _find_entry_points(document).items()}
    providers, file = _sub(root, "providers"), _sub(root, "providers", "file")
    api, core = root.get("api"), _sub(root, "core")
    return StaticConfig(
        origin=origin,
        entry_points=entry_points,
        directory=str(file.get("directory", "")),
        filename=str(file.get("filename", "")),
        watch=_truth(file.get("watch", True)),
        throttle_s=parse_duration(providers.get("providersthrottleduration", _DEFAULT_THROTTLE_S)),
        api=isinstance(api, dict) or _truth(api),
        api_insecure=_truth(_sub(root, "api").get("insecure", False)),
        access_log=_parse_access_log(root.get("accesslog")) if "accesslog" in root else None,
        metrics=_find_metrics(_sub(root, "metrics").get("prometheus"), entry_points),
        rule_syntax=str(core.get("defaultrulesyntax", "v3")),
    )


def _find_entry_points(document: Mapping[str, Any]) -> dict[str, Any]:
    """Their names are words of the owner's, and routers write them in the same case."""
    found = next((value for name, value in document.items() if str(name).lower() == "entrypoints"), None)
    return found if isinstance(found, dict) else {}


def _parse_entry_point(body: object) -> EntryPoint:
    if not isinstance(body, dict):
        return EntryPoint(address="")
    tls = "tls" in _sub(body, "http")
    return EntryPoint(address=str(body.get("address", "")), tls=tls, default=_truth(body.get("asdefault", False)))


def parse_duration(value: object) -> float:
    """Seconds. Go's notation, or a number of seconds as Traefik takes it."""
    text = str(value)
    parts = _DURATION.findall(text)
    if parts:
        return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    try:
        return float(text)
    except ValueError:
        return _DEFAULT_THROTTLE_S


def _parse_access_log(found: object) -> AccessLog | None:
    if not isinstance(found, dict):
        return AccessLog() if found is None or _truth(found) else None
    fields = _sub(found, "fields")
    modes = _sub(fields, "names")
    usual = fields.get("defaultmode", "keep")
    hidden = "filters" if _sub(found, "filters") else ""
    if any(str(modes.get(name, usual)).lower() == "drop" for name in _NEEDED):
        hidden = "fields"
    return AccessLog(
        path=str(found.get("filepath", "")),
        is_json=str(found.get("format", "common")).lower() == "json",
        buffered_count=int(found.get("bufferingsize") or 0),
        hidden=hidden,
    )


def _find_metrics(found: object, entry_points: Mapping[str, EntryPoint]) -> EntryPoint | None:
    """None also where a router of the owner's says who may read them (`manualRouting`)."""
    said = found if isinstance(found, dict) else {}
    if not _truth(found) or _truth(said.get("manualrouting")) or not _truth(said.get("addserviceslabels", True)):
        return None
    name = str(said.get("entrypoint", _OWN_ENTRY_POINT))
    return entry_points.get(name, _OWN_ADDRESS if name == _OWN_ENTRY_POINT else None)


def _lower(found: Any) -> Any:
    if isinstance(found, dict):
        return {str(name).lower(): _lower(value) for name, value in found.items()}
    return found


def _sub(found: Mapping[str, Any], *names: str) -> dict[str, Any]:
    place: Any = found
    for name in names:
        place = place.get(name) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else {}


def _truth(found: object) -> bool:
    return str(found).lower() in {"true", "1", "t"} or isinstance(found, dict)
