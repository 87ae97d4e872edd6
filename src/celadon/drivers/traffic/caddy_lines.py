"""Caddy's JSON access log, with the fields that our snippet appends; before 2.8, with what it puts into `user_id`."""

from collections.abc import Iterable, Mapping
from itertools import chain

import msgspec
from msgspec import Struct, field

from celadon.drivers.traffic.json_block import decode_block, decode_each
from celadon.model.names import Slot
from celadon.model.observed import PREVIEWED, Hit

_ROUTE_LIMIT = 200
_OURS = "celadon"


class CaddyHeaders(Struct, frozen=True, gc=False):
    """Of all that a client sends only ours; the rest is passed over unread."""

    look: tuple[str, ...] = field(default=(), name="X-Celadon-Look")


class CaddyRequest(Struct, frozen=True, gc=False):
    remote_ip: str = ""
    method: str = ""
    uri: str = ""
    headers: CaddyHeaders = CaddyHeaders()


class CaddyHitLine(Struct, frozen=True, gc=False):
    """What a hit is made of. `duration` in seconds. `user_id`: `celadon <generation> <upstream> <preview> <id>` where
    Caddy is too old to append fields. What it appends may be null, as the upstream where none was asked. Headers stand
    in the lines of such a Caddy, of an older Celadon's snippet and of a log that is the owner's."""

    request: CaddyRequest = CaddyRequest()
    user_id: str = ""
    duration: float = 0.0
    status: int = 0
    celadon_request: str | None = ""
    celadon_look: str | None = ""
    celadon_upstream: str | None = ""
    celadon_preview: str | None = ""

    @property
    def look(self) -> str:
        return self.celadon_look or next(iter(self.request.headers.look), "")

    @property
    def upstream(self) -> str:
        """The address that was asked, empty where none was."""
        return self.celadon_upstream or self._told(2)

    @property
    def is_preview(self) -> bool:
        return bool(self.celadon_preview or self._told(3))

    @property
    def request_id(self) -> str:
        return self.celadon_request or self._told(4)

    def _told(self, index: int) -> str:
        """Paths of sockets hold no space: they are ours."""
        words = self.user_id.split(" ")
        return words[index] if words[0] == _OURS and index < len(words) else ""


class CaddyLine(CaddyHitLine, frozen=True, gc=False):
    """What our own look asks for besides."""

    celadon_generation: str = ""
    celadon_route: str = ""

    @property
    def generation(self) -> str:
        return self.celadon_generation or self._told(1)


_hit_decoder = msgspec.json.Decoder(CaddyHitLine)
_line_decoder = msgspec.json.Decoder(CaddyLine)


def parse_caddy_line(line: bytes) -> CaddyLine | None:
    try:
        return _line_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class CaddyLineParser:
    """`slots`: upstream address as Caddy writes it → slot."""

    def __init__(self, slots: Mapping[str, Slot]) -> None:
        self._slots = slots

    def parse(self, line: bytes) -> Hit | None:
        try:
            return self._make_hits([_hit_decoder.decode(line)])[0]
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def parse_block(self, block: bytes) -> Iterable[Hit | None]:
        found = decode_block(_hit_decoder, block)
        if found is not None:
            return self._make_hits(found)
        each = decode_each(_hit_decoder, block)
        return chain.from_iterable([None] if found is None else self._make_hits(found) for found in each)

    def _make_hits(self, lines: Iterable[CaddyHitLine]) -> list[Hit | None]:
        """Of all in one loop: a call for each would take a tenth of the time."""
        hits: list[Hit | None] = []
        add, find_slot = hits.append, self._slots.get
        for line in lines:
            request = line.request
            if not request.method:
                add(None)
                continue
            # what only an older line or a request of ours has is asked for where there is some of it
            told = line.user_id
            slot = find_slot((line.upstream if told else line.celadon_upstream) or "")
            look = line.celadon_look or told or line.celadon_preview or request.headers.look
            status = line.status
            add(
                Hit(
                    slot=slot,
                    status=status,
                    upstream_status=None if slot is None else status,
                    duration_ms=line.duration * 1000,
                    client_key=request.remote_ip,
                    route=f"{request.method} {request.uri.partition('?')[0]}"[:_ROUTE_LIMIT],
                    look=_judge_look(line) if look else "",
                    request_id=(line.request_id if told else line.celadon_request) or "",
                )
            )
        return hits


def _judge_look(line: CaddyHitLine) -> str:
    """The word is the proxy's; a client's header that says it says nothing."""
    if line.is_preview:
        return PREVIEWED
    return "" if line.look == PREVIEWED else line.look
