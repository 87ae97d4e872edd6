"""Single values of celadon.toml: what is expected, and the value or a ValueError that says what was found."""

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from celadon.model.names import APP_NAME_PATTERN, parse_app_name
from celadon.model.settings import DrainPolicy, DrainWay

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)\Z")
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB)\Z")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
_LISTEN = re.compile(r"(127\.\d+\.\d+\.\d+|\d+\.\d+\.\d+\.\d+|localhost|\[[0-9a-f:]+\]):(\d{1,5})\Z")
_DIRECTORY_URL = re.compile(r"/([A-Za-z0-9_-][A-Za-z0-9._-]*/)+\Z")
_HEADER = re.compile(r"[A-Za-z0-9-]+\Z")
_IMAGE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._/:-]{0,254}(@sha256:[0-9a-f]{64})?\Z")
_NETWORK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}\Z")
_VOLUME = re.compile(r"[A-Za-z0-9._/-]+\Z")
_OPTION = re.compile(r"--([a-z][a-z0-9-]*)(=.+)?\Z")
_OWN_OPTIONS = frozenset(
    {"attach", "cidfile", "detach", "env", "env-file", "init", "label", "label-file", "name", "network", "net", "pull"}
    | {"publish", "publish-all", "replace", "restart", "rm", "secret"}
)
_SERVICE = re.compile(r"[a-zA-Z0-9._-]{1,64}\Z")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}\Z")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

E = TypeVar("E", bound=StrEnum)


class ListedMistakes(ValueError):
    """Several in one value: each with the path below it (names, and indexes of arrays)."""

    def __init__(self, mistakes: list[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__("; ".join(what for _, what in mistakes))
        self.mistakes = mistakes


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of value. `schema` is its JSON Schema; `read` raises ValueError with what is wrong."""

    expected: str
    schema: dict[str, Any]
    read: Callable[[Any], Any]
    show: Callable[[Any], str] = repr


def _check_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_found(value)}")
    if any(not char.isprintable() and char != "\t" for char in value):
        raise ValueError("a control character")
    return value


def _found(value: Any) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "an array", dict: "a table"}
    return f"{names.get(type(value), type(value).__name__)} ({value!r:.60})"


def _quote(value: Any) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(value: Any) -> str:
    if not _check_text(value):
        raise ValueError("an empty string")
    return str(value)


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    if not pattern.match(_check_text(value)):
        raise ValueError(f"{value!r}")
    return str(value)


def _duration(value: Any, *, low_s: float, high_s: float) -> float:
    match = _DURATION.match(_check_text(value))
    if match is None:
        raise ValueError(f"{value!r}")
    seconds = float(match.group(1)) * _SECONDS[match.group(2)]
    if not low_s <= seconds <= high_s:
        raise ValueError(f"{value!r}, outside {show_duration(low_s)} to {show_duration(high_s)}")
    return seconds


def _drain_policy(value: Any, *, plain: list[str]) -> DrainPolicy:
    way, _, after = _check_text(value).partition(" ")
    if way == DrainWay.CLOSE_AFTER and _DURATION.match(after):
        return DrainPolicy(way=DrainWay.CLOSE_AFTER, after_s=_duration(after, low_s=0.0, high_s=7 * 86400.0))
    if value not in plain:
        raise ValueError(f"{value!r}")
    return DrainPolicy(way=DrainWay(value))


def _show_drain_policy(policy: DrainPolicy) -> str:
    after = f" {show_duration(policy.after_s)}" if policy.way is DrainWay.CLOSE_AFTER else ""
    return _quote(f"{policy.way}{after}")


def show_duration(seconds: float) -> str:
    for unit in ("h", "m", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:g}{unit}"
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"


def show_size(size: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def _size(value: Any) -> int:
    match = _SIZE.match(_check_text(value))
    if match is None:
        raise ValueError(f"{value!r}")
    return int(match.group(1)) * _BYTES[match.group(2)]


def _whole(value: Any, *, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(_found(value))
    if not low <= value <= high:
        raise ValueError(f"{value}, outside {low} to {high}")
    return value


def _rate(value: Any) -> float:
    if isinstance(value, str) and (match := _PERCENT.match(value)):
        value = float(match.group(1)) / 100
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(_found(value))
    if not 0 <= value <= 1:
        raise ValueError(f"{value}")
    return float(value)


def _percent(value: Any) -> int:
    match = _PERCENT.match(_check_text(value))
    if match is None or not 1 <= float(match.group(1)) <= 100_000:
        raise ValueError(f"{value!r}")
    return int(float(match.group(1)))


def _share(value: Any) -> int:
    match = re.fullmatch(r"(100|[1-9][0-9]?)%", _check_text(value))
    if match is None:
        raise ValueError(f"{value!r}")
    return int(match.group(1))


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_found(value))
    return value


def _list_of(kind: Kind, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(_found(value))
    return tuple(kind.read(each) for each in value)


def _table_of(kind: Kind, names: re.Pattern[str], value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(_found(value))
    for name in value:
        if not names.match(name):
            raise ValueError(f"the name {name!r}")
    return {name: kind.read(each) for name, each in value.items()}


def _inside(value: Any) -> str:
    path = PurePosixPath(_text(value))
    if path.is_absolute() or ".." in path.parts or path == PurePosixPath():
        raise ValueError(f"{value!r}")
    return str(path)


def _absolute(value: Any) -> str:
    if not PurePosixPath(_text(value)).is_absolute() or any(char in str(value) for char in " \t;{}\"'\\$#"):
        raise ValueError(f"{value!r}")
    return str(value)


def _volume(value: Any) -> str:
    if not _VOLUME.match(_check_text(value)) or ".." in PurePosixPath(value).parts:
        raise ValueError(f"{value!r}")
    return str(value)


def _option(value: Any) -> str:
    match = _OPTION.match(_text(value))
    if match is None or match.group(1) in _OWN_OPTIONS:
        raise ValueError(f"{value!r}")
    return str(value)


def _site(value: Any) -> str:
    parts = urlsplit(_text(value))
    host = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?\Z")
    if parts.scheme not in {"http", "https"} or not host.match(parts.netloc) or parts.path not in {"", "/"}:
        raise ValueError(f"{value!r}")
    return f"{parts.scheme}://{parts.netloc}"


def _url_path(value: Any) -> str:
    if not _text(value).startswith("/") or any(char in value for char in " \t#"):
        raise ValueError(f"{value!r}")
    return str(value)


def _app(value: Any) -> str:
    try:
        return parse_app_name(_check_text(value))
    except ValueError as error:
        raise ValueError(f"{value!r}") from error


def choice(kind: type[E], allowed: tuple[E, ...] | None = None) -> Kind:
    names = [each.value for each in (allowed or tuple(kind))]

    def read(value: Any) -> E:
        if _check_text(value) not in names:
            raise ValueError(f"{value!r}")
        return kind(value)

    return Kind(expected=f"one of {', '.join(names)}", schema={"enum": names}, read=read, show=_quote)


def word(*names: str) -> Kind:
    def read(value: Any) -> str:
        if _check_text(value) not in names:
            raise ValueError(f"{value!r}")
        return str(value)

    return Kind(expected=f"one of {', '.join(names)}", schema={"enum": list(names)}, read=read, show=_quote)


def duration(low_s: float = 0.0, high_s: float = 7 * 86400.0) -> Kind:
    return Kind(
        expected=f'a duration from {show_duration(low_s) if low_s else "0s"} to {show_duration(high_s)}, as "30s"',
        schema={"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h)$"},
        read=lambda value: _duration(value, low_s=low_s, high_s=high_s),
        show=lambda value: _quote(show_duration(value)),
    )


def drain_policy(*ways: DrainWay) -> Kind:
    """CLOSE_AFTER is always one of them."""
    plain = [way.value for way in ways if way is not DrainWay.CLOSE_AFTER]
    return Kind(
        expected=f'{", ".join(plain)}, or a duration, as "close-after 30s"',
        schema={"type": "string", "pattern": rf"^({'|'.join(plain)}|close-after \d+(\.\d+)?(ms|s|m|h))$"},
        read=lambda value: _drain_policy(value, plain=plain),
        show=_show_drain_policy,
    )


def whole(low: int, high: int) -> Kind:
    return Kind(
        expected=f"an integer from {low} to {high}",
        schema={"type": "integer", "minimum": low, "maximum": high},
        read=lambda value: _whole(value, low=low, high=high),
        show=str,
    )


def list_of(kind: Kind) -> Kind:
    return Kind(
        expected=f"an array; each: {kind.expected}",
        schema={"type": "array", "items": kind.schema},
        read=lambda value: _list_of(kind, value),
        show=lambda value: "[" + ", ".join(kind.show(each) for each in value) + "]",
    )


def table_of(kind: Kind, names: re.Pattern[str]) -> Kind:
    return Kind(
        expected=f"a table; each value: {kind.expected}",
        schema={"type": "object", "additionalProperties": kind.schema},
        read=lambda value: _table_of(kind, names, value),
        show=lambda value: "{" + ", ".join(f"{_quote(key)} = {kind.show(each)}" for key, each in value.items()) + "}",
    )


def _string(expected: str, read: Callable[[Any], Any], *, pattern: str | None = None) -> Kind:
    schema: dict[str, Any] = {"type": "string"} | ({"pattern": pattern} if pattern else {})
    return Kind(expected=expected, schema=schema, read=read, show=_quote)


APP = _string(f"a name matching {APP_NAME_PATTERN}", _app, pattern=APP_NAME_PATTERN)
TEXT = _string("a string without control characters", _text)
USER = _string("the name of a system user", lambda value: _matching(_USER, value))
INSIDE = _string("a path inside the release, without `..`", _inside)
ABSOLUTE = _string("an absolute path without spaces or quotes", _absolute)
PATH = _string("a path", _text)
SITE = _string('the site\'s public URL, as "https://shop.example"', _site)
URL_PATH = _string('a path of the site, as "/health"', _url_path)
DIRECTORY_URL = _string(
    'a path of the site that ends with a slash, as "/assets/"',
    lambda value: _matching(_DIRECTORY_URL, value),
    pattern=_DIRECTORY_URL.pattern.replace(r"\Z", "$"),
)
LISTEN = _string('an address, as "127.0.0.1:80"', lambda value: _matching(_LISTEN, value))
SIZE = Kind(
    expected='a size, as "256MiB"',
    schema={"type": "string", "pattern": r"^\d+(B|KiB|MiB|GiB)$"},
    read=_size,
    show=lambda value: _quote(show_size(value)),
)
RATE = Kind(
    expected='a share from 0 to 1, or as "1%"',
    schema={
        "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": r"^\d+(\.\d+)?%$"}]
    },
    read=_rate,
    show=lambda value: f"{value:g}",
)
PERCENT = Kind(
    expected='a share of cores, as "150%"',
    schema={"type": "string", "pattern": r"^\d+%$"},
    read=_percent,
    show=lambda value: _quote(f"{value}%"),
)
SHARE = Kind(
    expected='a share of the traffic in whole percent, as "5%"',
    schema={"type": "string", "pattern": r"^(100|[1-9][0-9]?)%$"},
    read=_share,
    show=lambda value: _quote(f"{value}%"),
)
TRUTH = Kind(expected="true or false", schema={"type": "boolean"}, read=_truth, show=lambda value: str(value).lower())
TEXTS = list_of(TEXT)
HEADERS = table_of(TEXT, _HEADER)
CREDENTIALS = table_of(
    _string('the name of a credential, as "shop-database"', lambda value: _matching(_CREDENTIAL, value)), _ENV_NAME
)
ENV = table_of(_string("a string without control characters", _check_text), _ENV_NAME)
BELOW = _string(
    "`.` or a path inside the release, without `..`", lambda value: value if value == "." else _inside(value)
)
IMAGE = _string(
    'an image\'s name, as "shop" or "registry.example/shop@sha256:…"', lambda value: _matching(_IMAGE, value)
)
SERVICE = _string("the name of a service in the Compose file", lambda value: _matching(_SERVICE, value))
NETWORK = _string("`bridge`, `host` or the name of a network", lambda value: _matching(_NETWORK, value))
VOLUMES = table_of(
    _string("a path without `..`, spaces, commas or colons", _volume), re.compile(r"/[A-Za-z0-9._/-]+\Z")
)
OPTIONS = list_of(_string('one word, as "--shm-size=1g", of those that Celadon does not say itself', _option))
REUSE = table_of(INSIDE, re.compile(r"[A-Za-z0-9._/-]+\Z"))
PORTS = Kind(
    expected="two different ports, outside ip_local_port_range",
    schema={
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": 65535},
        "minItems": 2,
        "maxItems": 2,
    },
    read=lambda value: _list_of(whole(1, 65535), value),
    show=lambda value: f"[{', '.join(map(str, value))}]",
)


def _scalar(value: Any) -> str | int | float | bool:
    if not isinstance(value, str | int | float | bool):
        raise ValueError(_found(value))
    return value


SCALAR = Kind(
    expected="a string, a number or a boolean",
    schema={"type": ["string", "number", "boolean"]},
    read=_scalar,
    show=lambda value: _quote(value) if isinstance(value, str) else str(value).lower(),
)
