"""Caddy's JSON access log, with the two fields that our snippet appends."""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct, field

from celadon.model.names import Slot
from celadon.model.observed import Hit

_ROUTE_LIMIT = 200


class CaddyRequest(Struct, frozen=True):
    remote_ip: str = ""
    method: str = ""
    uri: str = ""
    headers: dict[str, list[str]] = field(default_factory=dict)


class CaddyLine(Struct, frozen=True):
    """`duration` in seconds. `celadon_upstream` is the address that was asked, empty where none was."""

    request: CaddyRequest = CaddyRequest()
    status: int = 0
    duration: float = 0.0
    celadon_upstream: str = ""
    celadon_generation: str = ""

    @property
    def look(self) -> str:
        return next(iter(self.request.headers.get("X-Celadon-Look", ())), "")


_decoder = msgspec.json.Decoder(CaddyLine)


def parse_caddy_line(line: bytes) -> CaddyLine | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def make_hit_parser(slots: Mapping[str, Slot]) -> Callable[[bytes], Hit | None]:
    """`slots`: upstream address as Caddy writes it → slot."""

    def parse(line: bytes) -> Hit | None:
        found = parse_caddy_line(line)
        if found is None or not found.request.method:
            return None
        slot = slots.get(found.celadon_upstream)
        return Hit(
            slot=slot,
            status=found.status,
            upstream_status=None if slot is None else found.status,
            duration_ms=found.duration * 1000,
            client_key=found.request.remote_ip,
            route=f"{found.request.method} {found.request.uri.partition('?')[0]}"[:_ROUTE_LIMIT],
            look=found.look,
        )

    return parse
