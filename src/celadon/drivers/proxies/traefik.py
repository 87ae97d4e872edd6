"""Traefik 3: the route as one file that its file provider reads through the pointer.

Traefik takes what it is given unchecked, and answers 404 to visitors where that is wrong. So every route is read back
and tried on a private Traefik when it is rendered; a switch puts in force only what was tried and not touched since;
and a route that is lost all the same is put back as soon as a look finds nothing of ours.
"""

import time
from collections.abc import Callable, Sequence

from celadon.contracts.proxy import RenderedFile
from celadon.contracts.traffic import Traffic
from celadon.drivers.proxies.look import Watched, wait_until, watch_until
from celadon.drivers.proxies.seen import switch_by_pointer
from celadon.drivers.proxies.traefik_files import TraefikFiles
from celadon.drivers.proxies.traefik_install import Installing
from celadon.drivers.proxies.traefik_look import TraefikLooks, TraefikSight
from celadon.drivers.proxies.traefik_text import parse_route
from celadon.drivers.traffic.traefik_lines import TraefikTraffic
from celadon.host.layout import Layout
from celadon.host.look_http import parse_look_target
from celadon.model.address import TcpAddress
from celadon.model.names import Slot
from celadon.model.observed import Effect, Finding, RouteView, Switched
from celadon.model.settings import Settings

_LOST_S = 0.5
"""So long may nothing of ours answer before a route counts as lost: a Traefik that starts answers 404 until it has
read its directory, some 50 ms."""
_PUT_BACK_S = 3.0


class TraefikProxy:
    """Implements contracts.proxy.Proxy for one app."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        target = parse_look_target(
            site=settings.proxy.site, listen=settings.proxy.listen, path=settings.proxy.look_path
        )
        self._listen = TcpAddress(host=target.address[0], port=target.address[1])
        self._files = TraefikFiles(layout, settings, listen=self._listen)
        self._looks = TraefikLooks(layout, settings.proxy)
        self._installing = Installing(layout, settings, files=self._files, looks=self._looks)

    def check(self) -> Sequence[Finding]:
        from celadon.drivers.proxies.traefik_check import check_traefik

        return check_traefik(
            self._layout,
            self._settings,
            files=self._files,
            looks=self._looks,
            rendered=self.render(),
            listen=self._listen,
        )

    def render(self) -> Sequence[RenderedFile]:
        return [RenderedFile(path=path, text=text) for path, text in self._installing.render().items()]

    def install(self) -> bool:
        return self._installing.install()

    def observe(self) -> RouteView:
        sight = self._looks.look_settled()
        pointed = self._files.read_pointed()
        slot, split = parse_route(pointed)
        if sight.served is None:
            return RouteView(slot=slot, seen=False, split=split, detail=sight.detail)
        served = sight.served
        differs = served.route != pointed
        return RouteView(
            slot=served.slot,
            seen=True,
            split=served.split,
            detail=sight.detail,
            disagreement=f"the pointer names {pointed}, Traefik serves {served.route}" if differs else "",
        )

    def switch(self, to: Slot, *, percent: int = 100, reached: Callable[[str], None]) -> Switched:
        route = self._files.name_route(to, percent)
        _, generation = self._files.read_route(route)
        if not generation:
            path = self._files.path_of(route)
            reason = f"{path} is not as celadon wrote it" if path.exists() else f"{path} was never installed"
            return Switched(to=to, seen=False, effect=Effect.NONE, reason=reason)
        before = self._files.read_pointed()
        switched = switch_by_pointer(
            self._layout.pointer,
            to,
            percent=percent,
            reached=reached,
            rests=self._looks.is_refused,
            watch=lambda: self._load_and_watch(route, generation=generation),
        )
        if switched.seen or switched.effect in {Effect.NONE, Effect.AT_REST} or before == route:
            return switched
        return self._put_back(switched, before)

    def traffic(self) -> Traffic:
        from celadon.drivers.proxies.traefik_check import find_access_log

        path = find_access_log(self._settings, listen=self._listen) or self._layout.access_log
        slots = {str(address): slot for address, slot in self._settings.web.slots.items()}
        return TraefikTraffic(path, app=self._settings.app, slots=slots)

    def _load_and_watch(self, route: str, *, generation: str) -> Watched:
        """Traefik is told to look, and looked at, until the route answers or is lost."""
        try:
            self._files.nudge()
        except OSError as error:
            sight = TraefikSight(slot=None, detail=f"{self._files.link} could not be touched: {error}")
            return Watched(held=False, first_at_s=0.0, last=sight)
        lost_at_s = time.monotonic() + _LOST_S
        seen: list[TraefikSight] = []

        def look(timeout_s: float) -> TraefikSight:
            sight = self._looks.look(timeout_s)
            seen.append(sight)
            if sight.foreign and time.monotonic() >= lost_at_s:
                raise _RouteLost
            return sight

        try:
            return watch_until(
                look,
                lambda _: seen[-1].shows(route, generation=generation),
                sick=lambda _: seen[-1].fails(route, generation=generation),
                count=self._settings.proxy.looks_count,
                timeout_s=self._settings.proxy.seen_timeout_s,
            )
        except _RouteLost:
            return Watched(held=False, first_at_s=0.0, last=seen[-1])

    def _put_back(self, switched: Switched, before: str) -> Switched:
        """What was not taken, or lost the route, must not be what a restart of Traefik would serve. A candidate that
        answers, but as it should not, is the engine's to judge."""
        last = self._looks.look_settled()
        if last.served is not None and last.slot is switched.to and last.served.route != before:
            return switched
        _, generation = self._files.read_route(before)
        try:
            self._files.point(before)
            self._files.nudge()
        except OSError as error:
            return _blame(switched, f"; it could not be put back: {error}", effect=Effect.UNKNOWN)
        back = wait_until(
            lambda: self._looks.look().names(before, generation=generation), timeout_s=_PUT_BACK_S, pause_s=0.01
        )
        return _blame(switched, f"; put back to {before}", effect=Effect.NONE if back else Effect.UNKNOWN)


class _RouteLost(Exception):
    pass


def _blame(switched: Switched, more: str, *, effect: Effect) -> Switched:
    return Switched(
        to=switched.to, seen=False, effect=effect, moved_ms=switched.moved_ms, reason=f"{switched.reason}{more}"
    )
