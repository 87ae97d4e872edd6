"""Every proxy and way that is measured: one line each. What only one of them needs stands in bare, plain and owned."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.contract.caddy_server import CaddyStage
from tests.contract.haproxy_server import HaproxyStage
from tests.contract.nginx_server import NginxStage
from tests.contract.traefik_server import TraefikStage

from bench.proxies.bare import CADDY_RELOAD, HAPROXY_COMMAND, HAPROXY_RELOAD, NGINX_RELOAD, RENAME, TRAEFIK_RENAME, Bare
from bench.proxies.owned import write_owned_caddy, write_owned_haproxy, write_owned_nginx, write_owned_traefik
from bench.proxies.plain import Plain, write_plain_caddy, write_plain_haproxy, write_plain_nginx
from bench.proxies.stand import Stage
from celadon.model.settings import ProxyKind, SwitchWay


@dataclass(frozen=True)
class Family:
    """`bare` is the operation that its switch cannot do without. `plain` writes the site beside ours as its owner
    would, for what the route costs; `owned` writes it in the place of ours, for its adoption. None: not measured."""

    name: str
    proxy: ProxyKind
    open: Callable[[Path], Stage]
    bare: Bare
    plain: Plain | None = None
    owned: Callable[[Stage], None] | None = None

    @property
    def reloads(self) -> bool:
        return self.bare.reloads


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What is to be reached: median ms to the first new answer; CPU of a request with the route as a multiple of a
    request without."""

    first_new_ms: float
    cpu_ratio: float | None = None


MARKS = {
    "nginx": Mark(first_new_ms=2.0, cpu_ratio=1.05),
    "haproxy": Mark(first_new_ms=2.0, cpu_ratio=1.05),
    "caddy": Mark(first_new_ms=5.0, cpu_ratio=1.12),
    "traefik": Mark(first_new_ms=10.0),
}


def _nginx(way: SwitchWay, *, sockets: bool = False) -> Callable[[Path], Stage]:
    return lambda base: NginxStage(base, way=way, sockets=sockets)


def _caddy(way: SwitchWay, *, sockets: bool = False) -> Callable[[Path], Stage]:
    return lambda base: CaddyStage(base, way=way, sockets=sockets)


def _haproxy(way: SwitchWay, *, sockets: bool = False) -> Callable[[Path], Stage]:
    return lambda base: HaproxyStage(base, way=way, sockets=sockets)


_NGINX, _CADDY, _HAPROXY = ProxyKind.NGINX, ProxyKind.CADDY, ProxyKind.HAPROXY
_POINTER, _SYMLINK, _INCLUDE, _RELOAD = SwitchWay.POINTER, SwitchWay.SYMLINK, SwitchWay.INCLUDE, SwitchWay.RELOAD

FAMILIES = (
    Family("nginx pointer", _NGINX, _nginx(_POINTER), RENAME, plain=write_plain_nginx, owned=write_owned_nginx),
    Family("nginx pointer, sockets", _NGINX, _nginx(_POINTER, sockets=True), RENAME),
    Family("nginx symlink", _NGINX, _nginx(_SYMLINK), NGINX_RELOAD),
    Family("nginx include", _NGINX, _nginx(_INCLUDE), NGINX_RELOAD),
    Family("Caddy pointer", _CADDY, _caddy(_POINTER), RENAME, plain=write_plain_caddy, owned=write_owned_caddy),
    Family("Caddy pointer, sockets", _CADDY, _caddy(_POINTER, sockets=True), RENAME),
    Family("Caddy reload", _CADDY, _caddy(_RELOAD), CADDY_RELOAD),
    Family("HAProxy map", _HAPROXY, _haproxy(_POINTER), HAPROXY_COMMAND, write_plain_haproxy, write_owned_haproxy),
    Family("HAProxy map, sockets", _HAPROXY, _haproxy(_POINTER, sockets=True), HAPROXY_COMMAND),
    Family("HAProxy reload", _HAPROXY, _haproxy(_RELOAD), HAPROXY_RELOAD),
    Family("Traefik file", ProxyKind.TRAEFIK, TraefikStage, TRAEFIK_RENAME, owned=write_owned_traefik),
)
