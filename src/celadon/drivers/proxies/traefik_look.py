"""Looking through Traefik: a router of ours beside the user's answers to a look, and names the route that it stands in.

A look passes the user's entry point, TLS, rule and every middleware that changes a request, and then the service that
visitors get. It goes past middlewares that refuse (a password, a rate limit): it shows where the route leads.
"""

import time

from celadon.drivers.proxies.headers import LOOK_HEADER, SLOT_HEADER
from celadon.drivers.proxies.look import Sight, wait_until
from celadon.drivers.proxies.traefik_text import Served, parse_served
from celadon.host.layout import Layout
from celadon.host.look_http import ask_reply, is_refused, parse_look_target
from celadon.host.look_mark import new_look, read_secret
from celadon.host.reserve import yield_reserve
from celadon.model.settings import ProxySettings

LOOK_TIMEOUT_S = 3.0
_LOADING_S = 1.0
"""Traefik takes connections before it has read the directory of its file provider, and answers 404 until then."""


class TraefikSight(Sight, frozen=True, kw_only=True):
    """`slot` is the one that answered: of a share, the one that is given it. `config` is its generation."""

    served: Served | None = None

    @property
    def foreign(self) -> bool:
        """Something answered, but not the app's route."""
        return self.status is not None and self.served is None

    def shows(self, route: str, *, generation: str) -> bool:
        return self.is_fine and self.names(route, generation=generation)

    def fails(self, route: str, *, generation: str) -> bool:
        """Of a share nobody knows which slot that was."""
        wanted = Served(route=route, generation=generation)
        return self.is_error and self.served == wanted and wanted.split is None

    def names(self, route: str, *, generation: str) -> bool:
        return self.served == Served(route=route, generation=generation)


class TraefikLooks:
    def __init__(self, layout: Layout, proxy: ProxySettings) -> None:
        self._layout = layout
        self._proxy = proxy
        self._target = parse_look_target(site=proxy.site, listen=proxy.listen, path=proxy.look_path)

    def look(self, timeout_s: float = LOOK_TIMEOUT_S) -> TraefikSight:
        """One, on a fresh connection. Never raises for what Traefik or the app does."""
        nonce = new_look(read_secret(self._layout.look_mark))
        yield_reserve(self._layout.reserve)
        try:
            reply = ask_reply(self._target, headers={LOOK_HEADER: nonce}, timeout_s=timeout_s)
        except OSError as error:
            return TraefikSight(slot=None, detail=f"{self._proxy.listen} did not answer: {error}")
        served = parse_served(reply.headers.get(SLOT_HEADER.lower(), ""))
        if served is None:
            text = (
                f"{self._proxy.site} answered {reply.status} for {self._proxy.look_path}, but not by this app's route"
            )
            return TraefikSight(slot=None, status=reply.status, detail=text)
        answered = served.split.slot if served.split is not None else served.slot
        detail = f"{reply.status} from {answered or 'no slot'}"
        return TraefikSight(slot=answered, status=reply.status, detail=detail, config=served.generation, served=served)

    def look_settled(self) -> TraefikSight:
        """As `look`, with the patience that a Traefik needs which has just started."""
        sight = self.look()
        deadline = time.monotonic() + _LOADING_S

        def told() -> bool:
            nonlocal sight
            if sight.foreign:
                sight = self.look()
            return not sight.foreign

        wait_until(told, timeout_s=max(0.0, deadline - time.monotonic()), pause_s=0.01)
        return sight

    def is_refused(self) -> bool:
        return is_refused(self._target)
