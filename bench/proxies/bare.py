"""The operation that a switch cannot do without, by hand: no check, no look, nothing durable but what it must be."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.proxies.stand import Stand, StandError
from celadon.drivers.proxies.caddy_admin import reload
from celadon.drivers.proxies.haproxy_process import HaproxyProcess, ask_runtime
from celadon.drivers.proxies.haproxy_text import KEY, MAP, render_value
from celadon.drivers.proxies.nginx_files import RouteFiles
from celadon.drivers.proxies.nginx_process import NginxProcess
from celadon.host.files import write_atomic
from celadon.host.pointer import live_path, move_pointer
from celadon.model.names import Slot


@dataclass(frozen=True, kw_only=True)
class Bare:
    """`prepare` is called once; what it gives moves the route when called."""

    name: str
    prepare: Callable[[Stand], Callable[[Slot], None]]
    reloads: bool = False


def _prepare_rename(stand: Stand) -> Callable[[Slot], None]:
    return lambda to: move_pointer(stand.stage.layout.pointer, to)


def _prepare_nginx_reload(stand: Stand) -> Callable[[Slot], None]:
    files = RouteFiles(stand.stage.layout, stand.settings)
    process = NginxProcess(binary=stand.settings.proxy.binary, config=files.main)

    def move(to: Slot) -> None:
        files.place(to)
        process.reload()

    return move


def _prepare_caddy_reload(stand: Stand) -> Callable[[Slot], None]:
    """The routes that the driver wrote for each slot, put back by hand."""
    proxy = stand.settings.proxy
    route = Path(proxy.directory) / f"{stand.settings.app}.route"
    texts = {}
    for slot in (Slot.GREEN, Slot.BLUE):
        stand.switch(slot)
        texts[slot] = route.read_text()

    def move(to: Slot) -> None:
        write_atomic(route, texts[to])
        reloaded = reload(proxy)
        if not reloaded.ok:
            raise StandError(reloaded.output)

    return move


def _prepare_haproxy_command(stand: Stand) -> Callable[[Slot], None]:
    """The pointer stays behind, which says nothing of how fast HAProxy is; the driver's next switch moves it again."""
    runtime = str(stand.settings.proxy.admin)
    path = live_path(stand.stage.layout.pointer) / MAP

    def move(to: Slot) -> None:
        if said := ask_runtime(runtime, f"set map {path} {KEY} {render_value(to, 100)}").strip():
            raise StandError(said)

    return move


def _prepare_haproxy_reload(stand: Stand) -> Callable[[Slot], None]:
    process = HaproxyProcess(str(stand.settings.proxy.admin))

    def move(to: Slot) -> None:
        move_pointer(stand.stage.layout.pointer, to)
        process.reload()

    return move


def _prepare_traefik_rename(stand: Stand) -> Callable[[Slot], None]:
    """Traefik watches the directory of a link to the pointer; touching the link makes it look."""
    link = Path(stand.settings.proxy.directory) / f"celadon-{stand.settings.app}.yml"

    def move(to: Slot) -> None:
        move_pointer(stand.stage.layout.pointer, to)
        os.utime(link, follow_symlinks=False)

    return move


RENAME = Bare(name="rename", prepare=_prepare_rename)
NGINX_RELOAD = Bare(name="rename, SIGHUP", prepare=_prepare_nginx_reload, reloads=True)
CADDY_RELOAD = Bare(name="rename, `caddy reload`", prepare=_prepare_caddy_reload, reloads=True)
HAPROXY_COMMAND = Bare(name="`set map`", prepare=_prepare_haproxy_command)
HAPROXY_RELOAD = Bare(name="rename, SIGUSR2", prepare=_prepare_haproxy_reload, reloads=True)
TRAEFIK_RENAME = Bare(name="rename, touch", prepare=_prepare_traefik_rename)
