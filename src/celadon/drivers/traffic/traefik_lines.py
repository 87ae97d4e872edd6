"""Traefik's access log: JSON lines, or the common format with Traefik's own fields at the end.

One log for all sites, so a line is a hit when one of the app's slots was asked. What a client can write (its path,
its user agent) is quoted by Traefik with Go's %q or as JSON, so that a line is one request and cannot be forged from
outside. A request that our router refused before a slot (its middlewares) names no slot and is none of the app's
hits, as nginx's is one of the location that it ended in.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.drivers.traffic.json_block import decode_block
from celadon.drivers.traffic.memo import Memo
from celadon.drivers.traffic.tailed import Passed, TailedTraffic
from celadon.drivers.traffic.times import read_traefik_time
from celadon.host.tail import split_block
from celadon.host.tail_position import TailPosition
from celadon.model.names import AppName, Slot
from celadon.model.observed import PREVIEWED, Hit

LOOKED = "look"
_ROUTE_LIMIT = 512
_NS_PER_MS = 1_000_000
_SPACE = b" \t\r"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_COMMON = re.compile(
    rf'(\S+) - .{{0,200}} \[[^\]]{{26}}\] "([A-Z]+) (.*?) HTTP/[^"]*" '
    rf"(\d{{1,3}}|-) (?:\d+|-) {_QUOTED} {_QUOTED} (\d{{1,20}}) {_QUOTED} {_QUOTED} (\d{{1,15}})ms"
)
"""A user's name stands in it as it was sent; were it of any length, a line of brackets would take seconds."""


class TraefikLine(Struct, frozen=True, gc=False, rename="pascal"):
    """`duration` in nanoseconds. The addresses are empty where no service was asked. `request_count` is Traefik's own
    number of the request since it was started, None where that field was dropped. `TraceId` is no name of it: a visitor
    chooses that (`traceparent`)."""

    client_host: str = ""
    downstream_status: int = 0
    duration: int = 0
    origin_status: int = 0
    request_count: int | None = None
    request_method: str = ""
    request_path: str = ""
    router_name: str = ""
    service_addr: str = ""
    service_name: str = ""


_decoder = msgspec.json.Decoder(TraefikLine)


def parse_traefik_line(line: bytes) -> TraefikLine | None:
    try:
        return _decoder.decode(line) if line.lstrip(_SPACE)[:1] == b"{" else _parse_common(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _parse_common(line: bytes) -> TraefikLine | None:
    found = _COMMON.fullmatch(line.decode(errors="replace"))
    if found is None:
        return None
    client, method, path, status, _referer, _agent, number, router, service, took_ms = found.groups()
    return TraefikLine(
        client_host=client,
        request_method=method,
        request_path=path,
        downstream_status=int(status) if status != "-" else 0,
        duration=int(took_ms) * _NS_PER_MS,
        request_count=int(number),
        router_name=router,
        service_addr=service.partition("://")[2].partition("/")[0],
    )


class TraefikLineParser:
    """`slots`: address as Traefik writes it → slot."""

    def __init__(self, app: AppName, slots: Mapping[str, Slot]) -> None:
        self._app = app
        self._slots = slots
        self._looks = Memo(self._name_look)
        names = [f"celadon-{app}", *(f"celadon-{app}_{slot}" for slot in Slot)]
        self._services = frozenset(name + provider for name in names for provider in ("", "@file"))

    def take(self, line: bytes) -> Hit | Passed:
        found = parse_traefik_line(line)
        return Passed.UNREADABLE if found is None else self._judge([found])[0]

    def take_block(self, block: bytes) -> Iterable[Hit | Passed]:
        found = decode_block(_decoder, block)
        if found is not None:
            return self._judge(found)
        return chain.from_iterable(map(self._take_some, split_block(block)))

    def _take_some(self, line: bytes) -> Sequence[Hit | Passed]:
        found = decode_block(_decoder, line)
        return [self.take(line)] if found is None else self._judge(found)

    def _judge(self, lines: Iterable[TraefikLine]) -> list[Hit | Passed]:
        """All in one loop: a call for each would take a tenth of the time."""
        taken: list[Hit | Passed] = []
        add, find_slot, looks, services = taken.append, self._slots.get, self._looks, self._services
        for line in lines:
            slot = find_slot(line.service_addr)
            look = looks[line.router_name]
            # Traefik names no service where a service has no server
            if slot is None and not look and line.service_name not in services:
                add(Passed.FOREIGN)
                continue
            number = line.request_count
            add(
                Hit(
                    slot=slot,
                    status=line.downstream_status,
                    upstream_status=line.origin_status or None if slot is not None else None,
                    duration_ms=line.duration / _NS_PER_MS,
                    client_key=line.client_host,
                    route=f"{line.request_method} {line.request_path.partition('?')[0]}"[:_ROUTE_LIMIT],
                    look=look,
                    request_id="" if number is None else str(number),
                )
            )
        return taken

    def _name_look(self, router: str) -> str:
        """Traefik logs no header; but our routers let in only what has the secret."""
        if router.startswith(f"celadon-{self._app}_look"):
            return LOOKED
        return PREVIEWED if router.startswith(f"celadon-{self._app}_preview") else ""


class TraefikTraffic(TailedTraffic):
    """Implements contracts.traffic.Traffic. `slots`: address as Traefik writes it → slot."""

    def __init__(
        self, path: Path, *, app: AppName, slots: Mapping[str, Slot], resume_from: TailPosition | None = None
    ) -> None:
        parser = TraefikLineParser(app, slots)
        super().__init__(
            path,
            take=parser.take,
            take_block=parser.take_block,
            read_time=read_traefik_time,
            resume_from=resume_from,
        )
