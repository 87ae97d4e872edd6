"""Access logs that are there already: what nginx's `log_format` says, made into a parser, or why it cannot be.

No client can forge a line or a field. nginx writes a quote in what a client sent as \\x22 (or \\" in JSON), so between
two quotes of the format stands one field whatever was sent. A field that a client makes and that stands without quotes
is accepted only where a quote comes before the next one that counts.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import NamedTuple

import msgspec
from msgspec import Struct

from celadon.drivers.traffic.nginx_words import DURATIONS_MS, STATUSES, UPSTREAM_STATUSES, last_try
from celadon.drivers.traffic.text_block import find_lines
from celadon.host.tail import split_block
from celadon.model.names import Slot
from celadon.model.observed import Hit

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_ROUTE_LIMIT = 512
_MADE_BY_NGINX = {
    "status": r"\d{3}",
    "remote_addr": r"[0-9a-fA-F.:]+|unix:",
    "request_time": r"\d+\.\d+",
    "upstream_addr": r"[^\s,\"]+(?:(?:, | : )[^\s,\"]+)*",
    "upstream_status": r"[-\d]+(?:(?:, | : )[-\d]+)*",
    "request_method": r"[A-Z]*",
    "body_bytes_sent": r"\d+",
    "bytes_sent": r"\d+",
    "time_local": r"[^\"]{26}",
    "time_iso8601": r"\S*",
    "msec": r"[\d.]+",
    "pid": r"\d+",
    "connection": r"\d+",
    "request_length": r"\d+",
    "scheme": r"https?",
    "upstream_response_time": r"[-\d.:, ]*",
    "request_id": r"[0-9a-f]{32}",
}
_JUDGED = ("status", "remote_addr", "request_time", "upstream_addr", "upstream_status", "request_method")
_NAMES = ("request_id", "http_x_request_id")
"""Of a request: nginx's own, or else the one that came with it, which whoever sent it has chosen."""
_NAME_LIMIT = 128
_COUNTED = (*_JUDGED, "uri", "request_uri", "request", *_NAMES)
_ROUTE = r"[^\" ?]{0,32}(?: [^\" ?]{0,479})?"
"""Of a request the method and the path, which are as much of it as makes a route."""
_ROUTE_FIRST = re.compile(_ROUTE)


class Reader(NamedTuple):
    """`read` gives the values of `names` in a line, `read_block` those of each of many lines, or None where they have
    to be read one at a time."""

    names: Sequence[str]
    read: Callable[[bytes], Sequence[str] | None]
    read_block: Callable[[bytes], Sequence[Sequence[str]] | None]


class Recognised(Struct, frozen=True, kw_only=True):
    """`parse` and `parse_block` are None where `why` says why. `tells_slot` and `tells_duration`:
    without, hits have no slot, and take 0 ms: good for a baseline of statuses only."""

    parse: Callable[[bytes], Hit | None] | None = None
    parse_block: Callable[[bytes], Iterable[Hit | None]] | None = None
    tells_slot: bool = False
    tells_duration: bool = False
    why: str = ""


def recognise(log_format: str, *, escape: str = "default", slots: Mapping[str, Slot]) -> Recognised:
    """Pure. `log_format` as nginx puts its words together; `slots` by upstream address as `$upstream_addr` has it."""
    if escape == "none":
        return Recognised(why="escape=none lets a client write whole lines")
    names = [braced or plain for braced, plain in _VARIABLE.findall(log_format)]
    missing = _find_missing(names)
    if missing:
        return Recognised(why=f"it does not say {missing}")
    if log_format.lstrip().startswith("{"):
        read = _read_json(log_format, escape=escape)
    else:
        read = _read_text(log_format) if escape == "default" else f"escape={escape} in a format that is no JSON"
    if isinstance(read, str):
        return Recognised(why=read)
    parse, parse_block = _make_parsers(read, slots)
    return Recognised(
        parse=parse,
        parse_block=parse_block,
        tells_slot="upstream_addr" in names,
        tells_duration="request_time" in names,
    )


def _find_missing(names: list[str]) -> str:
    if "status" not in names:
        return "$status"
    if "remote_addr" not in names:
        return "$remote_addr"
    if "request" in names or ("request_method" in names and {"uri", "request_uri"} & {*names}):
        return ""
    return "$request"


def _read_json(log_format: str, *, escape: str) -> Reader | str:
    if escape != "json":
        return "it looks like JSON, but without escape=json a quote in a path makes a line unreadable"
    try:
        shape = json.loads(_VARIABLE.sub(_placeholder, log_format))
    except ValueError as error:
        return f"its shape is not JSON: {error}"
    keys = {value[1:]: key for key, value in shape.items() if isinstance(value, str) and value.startswith("$")}
    wanted = {name: keys[name] for name in _COUNTED if name in keys}
    decoder = msgspec.json.Decoder(dict[str, object])

    def read(line: bytes) -> Sequence[str] | None:
        try:
            found = decoder.decode(line.decode("utf-8", "replace"))
        except msgspec.DecodeError:
            return None
        if found.keys() != shape.keys():
            return None
        return [str(found[key]) if name != "request" else _cut(str(found[key])) for name, key in wanted.items()]

    return Reader([*wanted], read, lambda _: None)


def _cut(request: str) -> str:
    found = _ROUTE_FIRST.match(request)
    return found[0] if found else ""


def _placeholder(found: re.Match[str]) -> str:
    """A number stands without quotes, all else within."""
    name = found[1] or found[2]
    before = found.string[: found.start()].rstrip()
    return f"${name}" if found.string[found.start() - 1] == '"' or not before.endswith(":") else f'"${name}"'


def _read_text(log_format: str) -> Reader | str:
    pattern, at, quoted, loose = "", 0, False, ""
    seen: set[str] = set()
    for found in _VARIABLE.finditer(log_format):
        literal = log_format[at : found.start()]
        at = found.end()
        pattern += re.escape(literal)
        quoted ^= literal.count('"') % 2 == 1
        loose = "" if '"' in literal else loose
        name = found[1] or found[2]
        if loose and name in _JUDGED:
            return f"${loose}, which a client makes, stands without quotes before ${name}"
        if name not in _MADE_BY_NGINX and not quoted:
            loose = name
        body = _MADE_BY_NGINX.get(name, r'[^"]*')
        if name not in _COUNTED or name in seen:
            pattern += f"(?:{body})"
        elif name == "request":
            pattern += f"(?P<request>{_ROUTE}){body}"
        else:
            pattern += f"(?P<{name}>{body})"
        seen.add(name)
    pattern += re.escape(log_format[at:])
    whole, each = re.compile(pattern, re.ASCII), re.compile(f"^{pattern}$", re.ASCII | re.MULTILINE)

    def read(line: bytes) -> Sequence[str] | None:
        matched = whole.fullmatch(line.decode("utf-8", "replace"))
        return matched.groups() if matched else None

    return Reader([*whole.groupindex], read, partial(find_lines, each))


def _make_parsers(
    reader: Reader, slots: Mapping[str, Slot]
) -> tuple[Callable[[bytes], Hit | None], Callable[[bytes], Iterable[Hit | None]]]:
    """Of a line, and of a block. What a format does not have is asked of no line."""
    read, read_block = reader.read, reader.read_block
    places = {name: place for place, name in enumerate(reader.names)}
    status, client = places["status"], places["remote_addr"]
    took, upstream, upstream_status = (places.get(f) for f in ("request_time", "upstream_addr", "upstream_status"))
    name = next((places[each] for each in _NAMES if each in places), None)
    make_route = _pick_route(places)

    def make_hit(words: Sequence[str]) -> Hit | None:
        try:
            return Hit(
                slot=None if upstream is None else slots.get(last_try(words[upstream])),
                status=STATUSES[words[status]],
                upstream_status=None if upstream_status is None else UPSTREAM_STATUSES[words[upstream_status]],
                duration_ms=0.0 if took is None else DURATIONS_MS[words[took]],
                client_key=words[client],
                route=make_route(words),
                request_id="" if name is None or words[name] == "-" else words[name][:_NAME_LIMIT],
            )
        except (KeyError, ValueError):
            return None

    def parse(line: bytes) -> Hit | None:
        words = read(line)
        return None if words is None else make_hit(words)

    def parse_block(block: bytes) -> Iterable[Hit | None]:
        found = read_block(block)
        return map(parse, split_block(block)) if found is None else map(make_hit, found)

    return parse, parse_block


def _pick_route(places: Mapping[str, int]) -> Callable[[Sequence[str]], str]:
    method, path = places.get("request_method"), places.get("uri", places.get("request_uri"))
    if method is None or path is None:
        return itemgetter(places["request"])

    def make_route(words: Sequence[str]) -> str:
        return f"{words[method]} {words[path].partition('?')[0]}"[:_ROUTE_LIMIT]

    return make_route
