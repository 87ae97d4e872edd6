"""Access logs that are there already: what nginx's `log_format` says, made into a parser, or why it cannot be.

No client can forge a line or a field. nginx writes a quote in what a client sent as \\x22 (or \\" in JSON), so between
two quotes of the format stands one field whatever was sent. A field that a client makes and that stands without quotes
is accepted only where a quote comes before the next one that counts.
"""

import json
import re
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

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
    "time_local": r"[^\"\]]*",
    "time_iso8601": r"\S*",
    "msec": r"[\d.]+",
    "pid": r"\d+",
    "connection": r"\d+",
    "request_length": r"\d+",
    "scheme": r"https?",
    "upstream_response_time": r"[-\d.:, ]*",
}
_COUNTED = frozenset({"status", "remote_addr", "request_time", "upstream_addr", "upstream_status", "request_method"})


class Recognised(Struct, frozen=True, kw_only=True):
    """`parse` is None where `why` says why. `tells_slot` and `tells_duration`: without, hits have no slot, and take
    0 ms: good for a baseline of statuses only."""

    parse: Callable[[bytes], Hit | None] | None = None
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
    return Recognised(
        parse=_make_parser(read, slots), tells_slot="upstream_addr" in names, tells_duration="request_time" in names
    )


Fields = Callable[[bytes], Mapping[str, str] | None]
"""A line's fields by the names of their variables."""


def _find_missing(names: list[str]) -> str:
    if "status" not in names:
        return "$status"
    if "remote_addr" not in names:
        return "$remote_addr"
    if "request" in names or ("request_method" in names and {"uri", "request_uri"} & {*names}):
        return ""
    return "$request"


def _read_json(log_format: str, *, escape: str) -> Fields | str:
    if escape != "json":
        return "it looks like JSON, but without escape=json a quote in a path makes a line unreadable"
    try:
        shape = json.loads(_VARIABLE.sub(_placeholder, log_format))
    except ValueError as error:
        return f"its shape is not JSON: {error}"
    keys = {value[1:]: key for key, value in shape.items() if isinstance(value, str) and value.startswith("$")}
    decoder = msgspec.json.Decoder(dict[str, object])

    def read(line: bytes) -> Mapping[str, str] | None:
        try:
            found = decoder.decode(line.decode(errors="replace"))
        except msgspec.DecodeError:
            return None
        if found.keys() != shape.keys():
            return None
        return {name: str(found[key]) for name, key in keys.items()}

    return read


def _placeholder(found: re.Match[str]) -> str:
    """A number stands without quotes, all else within."""
    name = found[1] or found[2]
    before = found.string[: found.start()].rstrip()
    return f"${name}" if found.string[found.start() - 1] == '"' or not before.endswith(":") else f'"${name}"'


def _read_text(log_format: str) -> Fields | str:
    pattern, at, quoted, loose = "", 0, False, ""
    seen: set[str] = set()
    for found in _VARIABLE.finditer(log_format):
        literal = log_format[at : found.start()]
        at = found.end()
        pattern += re.escape(literal)
        quoted ^= literal.count('"') % 2 == 1
        loose = "" if '"' in literal else loose
        name = found[1] or found[2]
        if loose and name in _COUNTED:
            return f"${loose}, which a client makes, stands without quotes before ${name}"
        if name not in _MADE_BY_NGINX and not quoted:
            loose = name
        body = _MADE_BY_NGINX.get(name, r'[^"]*')
        pattern += f"(?:{body})" if name in seen else f"(?P<{name}>{body})"
        seen.add(name)
    whole = re.compile(pattern + re.escape(log_format[at:]))

    def read(line: bytes) -> Mapping[str, str] | None:
        matched = whole.fullmatch(line.decode(errors="replace"))
        return matched.groupdict() if matched else None

    return read


def _make_parser(read: Fields, slots: Mapping[str, Slot]) -> Callable[[bytes], Hit | None]:
    def parse(line: bytes) -> Hit | None:
        fields = read(line)
        if fields is None:
            return None
        try:
            return _make_hit(fields, slots)
        except ValueError:
            return None

    return parse


def _make_hit(fields: Mapping[str, str], slots: Mapping[str, Slot]) -> Hit:
    upstream, status = (_last(fields.get(name, "")) for name in ("upstream_addr", "upstream_status"))
    return Hit(
        slot=slots.get(upstream),
        status=int(fields["status"]),
        upstream_status=int(status) if status else None,
        duration_ms=float(fields.get("request_time", 0.0)) * 1000,
        client_key=fields["remote_addr"],
        route=_make_route(fields)[:_ROUTE_LIMIT],
    )


def _make_route(fields: Mapping[str, str]) -> str:
    method, path = fields.get("request_method", ""), fields.get("uri") or fields.get("request_uri", "")
    if not method or not path:
        method, _, rest = fields.get("request", "").partition(" ")
        path = rest.rpartition(" ")[0]
    return f"{method} {path.partition('?')[0]}"


def _last(text: str) -> str:
    """Of several tries the one whose answer the client got; `-`: none was asked."""
    last = text.replace(" : ", ", ").rpartition(", ")[2]
    return "" if last == "-" else last
