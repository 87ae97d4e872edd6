"""Caddy's JSON access log, with the fields that our snippet appends; before 2.8, with what it puts into `user_id`."""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct, field

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
    """What a hit is made of. `duration` in seconds. `user_id`: `celadon <generation> <upstream> <preview>` where
    Caddy is too old to append fields."""

    request: CaddyRequest = CaddyRequest()
    status: int = 0
    duration: float = 0.0
    user_id: str = ""
    celadon_upstream: str = ""
    celadon_preview: str = ""

    @property
    def look(self) -> str:
        return next(iter(self.request.headers.look), "")

    @property
    def upstream(self) -> str:
        """The address that was asked, empty where none was."""
        return self.celadon_upstream or self._told(2)

    @property
    def is_preview(self) -> bool:
        return bool(self.celadon_preview or self._told(3))

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


def make_hit_parser(slots: Mapping[str, Slot]) -> Callable[[bytes], Hit | None]:
    """`slots`: upstream address as Caddy writes it → slot."""

    def parse(line: bytes) -> Hit | None:
        try:
            found = _hit_decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        request = found.request
        if not request.method:
            return None
        slot = slots.get(found.celadon_upstream or found.upstream)
        return Hit(
            slot=slot,
            status=found.status,
            upstream_status=None if slot is None else found.status,
            duration_ms=found.duration * 1000,
            client_key=request.remote_ip,
            route=f"{request.method} {request.uri.partition('?')[0]}"[:_ROUTE_LIMIT],
            look=_judge_look(found) if request.headers.look or found.celadon_preview or found.user_id else "",
        )

    return parse


def _judge_look(line: CaddyHitLine) -> str:
    """The word is the proxy's; a client's header that says it says nothing."""
    if line.is_preview:
        return PREVIEWED
    return "" if line.look == PREVIEWED else line.look
