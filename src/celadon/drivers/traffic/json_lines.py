"""Requests from an access log of JSON lines.

The field names are those that the nginx driver renders. What a client can write (its path, its headers) is
escaped by the proxy, so a line is one request and cannot be forged from outside; a line that is not exactly
such an object is counted, never guessed at.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from celadon.drivers.traffic.tailed import Passed, TailedTraffic
from celadon.drivers.traffic.times import ReadTime, read_nginx_time
from celadon.host.look_mark import is_own_look
from celadon.host.tail_position import TailPosition
from celadon.model.names import Slot
from celadon.model.observed import PREVIEWED, Hit

_ROUTE_LIMIT = 512


class LogLine(Struct, frozen=True):
    """One line as the proxy wrote it: strings, since nginx knows no other. `config` is the digest of the
    rendered text that the answering worker runs with; `preview` is not empty for a request with the app's secret."""

    slot: str
    status: str
    upstream_status: str
    request_time: str
    client: str
    method: str
    uri: str
    look: str
    pid: str
    upstream: str
    config: str
    preview: str = ""


_decoder = msgspec.json.Decoder(LogLine)


def parse_log_line(line: bytes) -> LogLine | None:
    try:
        return _decoder.decode(line)
    except UnicodeDecodeError:
        return _parse_repaired(line)
    except msgspec.DecodeError:
        return _parse_repaired(line) if not line.isascii() else None


def _parse_repaired(line: bytes) -> LogLine | None:
    """nginx escapes quotes and control characters but passes bytes above 127 as they came."""
    try:
        return _decoder.decode(line.decode(errors="replace"))
    except msgspec.DecodeError:
        return None


def parse_slot(text: str) -> Slot | None:
    try:
        return Slot(text)
    except ValueError:
        return None


def parse_hit(line: bytes) -> Hit | None:
    """None when the line is not one of ours."""
    found = parse_log_line(line)
    if found is None:
        return None
    try:
        return Hit(
            slot=parse_slot(found.slot),
            status=int(found.status),
            upstream_status=_parse_upstream_status(found.upstream_status),
            duration_ms=float(found.request_time) * 1000,
            client_key=found.client,
            route=f"{found.method} {found.uri}"[:_ROUTE_LIMIT],
            look=PREVIEWED if found.preview else _visitors_word(found.look),
        )
    except ValueError:
        return None


def _visitors_word(look: str) -> str:
    """What a client sent as its look; a preview is nothing that a client may say."""
    return "" if look == PREVIEWED else look


def _parse_upstream_status(text: str) -> int | None:
    """nginx writes one a try (`502, 200`); the last one is what the client got. `-` or nothing: none was asked."""
    last = text.replace(" : ", ", ").rpartition(", ")[2]
    return int(last) if last not in {"", "-"} else None


class JsonLinesTraffic(TailedTraffic):
    """Implements contracts.traffic.Traffic. `parse` makes a hit of a line, None where it cannot; `mark` is what our own
    looks begin with. A line that `parse` calls PREVIEWED is one by the proxy's own word."""

    def __init__(
        self,
        path: Path,
        *,
        mark: str,
        parse: Callable[[bytes], Hit | None] = parse_hit,
        read_time: ReadTime = read_nginx_time,
        resume_from: TailPosition | None = None,
    ) -> None:
        super().__init__(path, take=self._judge, read_time=read_time, resume_from=resume_from)
        self._mark = mark
        self._parse = parse

    def _judge(self, line: bytes) -> Hit | Passed:
        hit = self._parse(line)
        if hit is None:
            return Passed.UNREADABLE
        if hit.look not in {"", PREVIEWED} and not is_own_look(hit.look, mark=self._mark):
            return replace(hit, look="")
        return hit
