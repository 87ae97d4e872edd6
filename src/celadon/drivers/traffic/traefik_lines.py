"""Traefik's access log: JSON lines, or the common format with Traefik's own fields at the end.

One log for all sites, so a line is a hit when one of the app's slots was asked. What a client can write (its path,
its user agent) is quoted by Traefik with Go's %q or as JSON, so that a line is one request and cannot be forged from
outside. A request that our router refused before a slot (its middlewares) names no slot and is none of the app's
hits, as nginx's is one of the location that it ended in.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.drivers.traffic.tailed import Passed, TailedTraffic
from celadon.drivers.traffic.times import read_traefik_time
from celadon.host.tail_position import TailPosition
from celadon.model.names import AppName, Slot
from celadon.model.observed import PREVIEWED, Hit

LOOKED = "look"
_ROUTE_LIMIT = 512
_NS_PER_MS = 1_000_000
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_COMMON = re.compile(
    rf'(\S+) - .* \[[^\]]+\] "([A-Z]+) (.*?) HTTP/[^"]*" (\d+|-) (?:\d+|-) {_QUOTED} {_QUOTED} (\d+) '
    rf"{_QUOTED} {_QUOTED} (\d+)ms"
)


class TraefikLine(Struct, frozen=True, rename="pascal"):
    """`duration` in nanoseconds. The addresses are empty where no service was asked."""

    client_host: str = ""
    request_method: str = ""
    request_path: str = ""
    downstream_status: int = 0
    origin_status: int = 0
    duration: int = 0
    router_name: str = ""
    service_addr: str = ""
    service_name: str = ""


_decoder = msgspec.json.Decoder(TraefikLine)


def parse_traefik_line(line: bytes) -> TraefikLine | None:
    if not line.startswith(b"{"):
        return _parse_common(line)
    try:
        return _decoder.decode(line)
    except UnicodeDecodeError:
        return None
    except msgspec.DecodeError:
        return None


def _parse_common(line: bytes) -> TraefikLine | None:
    found = _COMMON.fullmatch(line.decode(errors="replace"))
    if found is None:
        return None
    client, method, path, status, _referer, _agent, _count, router, service, took_ms = found.groups()
    return TraefikLine(
        client_host=client,
        request_method=method,
        request_path=path,
        downstream_status=int(status) if status != "-" else 0,
        duration=int(took_ms) * _NS_PER_MS,
        router_name=router,
        service_addr=service.partition("://")[2].partition("/")[0],
    )


class TraefikTraffic(TailedTraffic):
    """Implements contracts.traffic.Traffic. `slots`: address as Traefik writes it → slot."""

    def __init__(
        self, path: Path, *, app: AppName, slots: Mapping[str, Slot], resume_from: TailPosition | None = None
    ) -> None:
        super().__init__(path, take=self._judge, read_time=read_traefik_time, resume_from=resume_from)
        self._app = app
        self._slots = slots

    def _judge(self, line: bytes) -> Hit | Passed:
        found = parse_traefik_line(line)
        if found is None:
            return Passed.UNREADABLE
        return judge_line(found, self._app, self._slots) or Passed.FOREIGN


def judge_line(line: TraefikLine, app: AppName, slots: Mapping[str, Slot]) -> Hit | None:
    """None for a request that is not the app's."""
    slot = slots.get(line.service_addr)
    look = _name_look(line.router_name, app)
    # Traefik names no service where a service has no server
    if slot is None and not look and line.service_name.removesuffix("@file") not in _name_services(app):
        return None
    return Hit(
        slot=slot,
        status=line.downstream_status,
        upstream_status=line.origin_status or None if slot is not None else None,
        duration_ms=line.duration / _NS_PER_MS,
        client_key=line.client_host,
        route=f"{line.request_method} {line.request_path.partition('?')[0]}"[:_ROUTE_LIMIT],
        look=look,
    )


def _name_services(app: AppName) -> Collection[str]:
    return {f"celadon-{app}", *(f"celadon-{app}_{slot}" for slot in Slot)}


def _name_look(router: str, app: AppName) -> str:
    """Traefik logs no header; but our routers let in only what has the secret."""
    if router.startswith(f"celadon-{app}_look"):
        return LOOKED
    return PREVIEWED if router.startswith(f"celadon-{app}_preview") else ""
