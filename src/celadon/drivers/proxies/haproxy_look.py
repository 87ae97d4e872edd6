"""Looking through HAProxy: the route answers a look with the server that was asked, the number that it routes by and
the generation of its text, in a header that no visitor and no app can give."""

import os
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from celadon.drivers.proxies.haproxy_text import Told, parse_told, parse_value, render_value
from celadon.drivers.proxies.headers import LOGGED, LOOK_HEADER, SLOT_HEADER
from celadon.drivers.proxies.look import Sight, Watched, watch_until
from celadon.host.layout import Layout
from celadon.host.look_http import ask_reply, is_refused, parse_look_target
from celadon.host.look_mark import new_look, read_secret
from celadon.host.reserve import yield_reserve
from celadon.model.names import Slot
from celadon.model.observed import WHOLE
from celadon.model.settings import ProxySettings

LOOK_TIMEOUT_S = 3.0


class Looked(Struct, frozen=True, kw_only=True):
    """`told` None: the answer was not this app's route's."""

    sight: Sight
    told: Told | None = None


class HaproxyLooks:
    def __init__(self, layout: Layout, proxy: ProxySettings) -> None:
        self._layout = layout
        self._proxy = proxy
        self._target = parse_look_target(site=proxy.site, listen=proxy.listen, path=proxy.look_path)

    def look(self, timeout_s: float = LOOK_TIMEOUT_S, *, logged: bool = False) -> Looked:
        """One, on a fresh connection. Never raises for what HAProxy or the app does. `logged`: with a line in the log,
        which no other look has."""
        mark = read_secret(self._layout.look_mark)
        nonce = f"{mark}{LOGGED}{os.urandom(8).hex()}" if logged else new_look(mark)
        yield_reserve(self._layout.reserve)
        try:
            reply = ask_reply(self._target, headers={LOOK_HEADER: nonce}, timeout_s=timeout_s)
        except OSError as error:
            return Looked(sight=Sight(slot=None, detail=f"{self._proxy.listen} did not answer: {error}"))
        told = parse_told(reply.headers.get(SLOT_HEADER.lower(), ""), app=self._layout.app)
        if told is None:
            detail = (
                f"{self._proxy.site} answered {reply.status} for {self._proxy.look_path}, but not by this app's route"
            )
            return Looked(sight=Sight(slot=None, status=reply.status, detail=detail))
        detail = f"{reply.status} from {told.slot or 'no slot'}"
        sight = Sight(slot=told.slot, status=reply.status, detail=detail, config=told.generation)
        return Looked(sight=sight, told=told)

    def watch(
        self, to: Slot, *, percent: int, timeout_s: float, otherwise: Callable[[], object] | None = None
    ) -> Watched:
        """Until looks are answered by a route that is this one; of a whole one, by its slot too. `otherwise` is called
        after each that another route has answered."""

        def look(left_s: float) -> Sight:
            looked = self.look(left_s)
            if otherwise and looked.told is not None and looked.told.value != render_value(to, percent):
                otherwise()
            return _judge(looked, to, percent=percent)

        return watch_until(
            look,
            lambda sight: sight.answered_by(to),
            sick=lambda sight: sight.failed_by(to),
            count=self._proxy.looks_count,
            timeout_s=timeout_s,
        )

    def watch_generation(self, generation: str) -> Watched:
        """Until the rendered text of that name answers."""
        return watch_until(
            lambda left_s: self.look(left_s).sight,
            lambda sight: sight.config == generation,
            count=self._proxy.looks_count,
            timeout_s=self._proxy.seen_timeout_s,
        )

    def is_refused(self) -> bool:
        return is_refused(self._target)


def _judge(looked: Looked, to: Slot, *, percent: int) -> Sight:
    """The sight's slot is `to` where the route is the one that was asked for, None where it is another: of a share,
    either slot may answer."""
    sight, told = looked.sight, looked.told
    if told is None or told.slot is None:
        return sight
    if told.value != render_value(to, percent):
        routed, split = parse_value(told.value)
        share = f", {split.percent} % to {split.slot}" if split else ""
        return replace(sight, slot=None, detail=f"{sight.detail}, which routes to {routed or 'no slot'}{share}")
    return replace(sight, slot=to) if percent < WHOLE else sight
