"""Requests from an access log of JSON lines.

The field names are those that the nginx driver renders. What a client can write (its path, its headers) is
escaped by the proxy, so a line is one request and cannot be forged from outside; a line that is not exactly
such an object is counted, never guessed at.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from celadon.drivers.traffic.nginx_words import DURATIONS_MS, STATUSES, UPSTREAM_STATUSES
from celadon.drivers.traffic.tailed import Passed, TailedTraffic
from celadon.drivers.traffic.times import ReadTime, read_nginx_time
from celadon.host.look_mark import is_own_look
from celadon.host.tail_position import TailPosition
from celadon.model.names import Slot
from celadon.model.observed import PREVIEWED, Hit

_ROUTE_LIMIT = 512


class HitLine(Struct, frozen=True, gc=False):
    """What a hit is made of, as the proxy wrote it: strings, since nginx knows no other. `preview` is not empty for a
    request with the app's secret. `request_id` is empty in lines that an older Celadon had written."""

    slot: str
    status: str
    upstream_status: str
    request_time: str
    client: str
    method: str
    uri: str
    look: str
    request_id: str = ""
    preview: str = ""


class LogLine(HitLine, frozen=True, gc=False, kw_only=True):
    """The whole line. `config` is the digest of the rendered text that the answering worker runs with."""

    pid: str
    upstream: str
    config: str


_SLOTS: Mapping[str, Slot] = {slot.value: slot for slot in Slot}
_hit_decoder = msgspec.json.Decoder(HitLine)
_line_decoder = msgspec.json.Decoder(LogLine)
_Line = TypeVar("_Line", bound=HitLine)


def parse_log_line(line: bytes) -> LogLine | None:
    try:
        return _line_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _parse_repaired(line, _line_decoder)


def _parse_repaired(line: bytes, decoder: msgspec.json.Decoder[_Line]) -> _Line | None:
    """nginx escapes quotes and control characters but passes bytes above 127 as they came."""
    if line.isascii():
        return None
    try:
        return decoder.decode(line.decode(errors="replace"))
    except msgspec.DecodeError:
        return None


def parse_slot(text: str) -> Slot | None:
    return _SLOTS.get(text)


def parse_hit(line: bytes) -> Hit | None:
    """None when the line is not one of ours."""
    found: HitLine | None
    try:
        found = _hit_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = _parse_repaired(line, _hit_decoder)
        if found is None:
            return None
    try:
        return Hit(
            slot=_SLOTS.get(found.slot),
            status=STATUSES[found.status],
            upstream_status=UPSTREAM_STATUSES[found.upstream_status],
            duration_ms=DURATIONS_MS[found.request_time],
            client_key=found.client,
            route=f"{found.method} {found.uri}"[:_ROUTE_LIMIT],
            look=_judge_look(found) if found.look or found.preview else "",
            request_id=found.request_id,
        )
    except (KeyError, ValueError):
        return None


def _judge_look(line: HitLine) -> str:
    """A preview is nothing that a client may say."""
    if line.preview:
        return PREVIEWED
    return "" if line.look == PREVIEWED else line.look


ParseBlock = Callable[[bytes], Iterable[Hit | None]]


class JsonLinesTraffic(TailedTraffic):
    """Implements contracts.traffic.Traffic. `parse` makes a hit of a line, None where it cannot; `parse_block` of each
    of many lines. `mark` is what our own looks begin with. A line that `parse` calls PREVIEWED is one by the proxy's
    own word."""

    def __init__(
        self,
        path: Path,
        *,
        mark: str,
        parse: Callable[[bytes], Hit | None] = parse_hit,
        parse_block: ParseBlock | None = None,
        read_time: ReadTime = read_nginx_time,
        resume_from: TailPosition | None = None,
    ) -> None:
        super().__init__(
            path,
            take=lambda line: _judge(parse(line), mark=mark),
            take_block=partial(_judge_block, parse_block, mark=mark) if parse_block is not None else None,
            read_time=read_time,
            resume_from=resume_from,
        )


def _judge_block(parse_block: ParseBlock, block: bytes, *, mark: str) -> Iterable[Hit | Passed]:
    return [hit if hit is not None and not hit.look else _judge(hit, mark=mark) for hit in parse_block(block)]


def _judge(hit: Hit | None, *, mark: str) -> Hit | Passed:
    if hit is None:
        return Passed.UNREADABLE
    if hit.look and hit.look != PREVIEWED and not is_own_look(hit.look, mark=mark):
        return replace(hit, look="")
    return hit
