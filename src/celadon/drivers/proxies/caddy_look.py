"""Looking through Caddy: the route's own log line tells which slot answered, under which text, by which share."""

from collections.abc import Callable

from celadon.drivers.proxies.caddy_text import render_logged
from celadon.drivers.proxies.headers import LOOK_HEADER
from celadon.drivers.proxies.look import Sight, Watched, wait_until, watch_until
from celadon.drivers.traffic.caddy_lines import CaddyLine, parse_caddy_line
from celadon.host.layout import Layout
from celadon.host.look_http import ask_look, is_refused, parse_look_target
from celadon.host.look_mark import new_look, read_secret
from celadon.host.pointer import route_path
from celadon.host.reserve import yield_reserve
from celadon.host.tail import LineTail
from celadon.model.names import Slot
from celadon.model.settings import Settings

LOOK_TIMEOUT_S = 3.0
_LOG_LINE_TIMEOUT_S = 1.0


class CaddySight(Sight, frozen=True, kw_only=True):
    """`share` names the route's directory where the answer came by a share, else it is empty."""

    share: str = ""


class CaddyLooks:
    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._proxy = settings.proxy
        self._slots = {render_logged(address): slot for address, slot in settings.web.slots.items()}
        self.target = parse_look_target(
            site=settings.proxy.site, listen=settings.proxy.listen, path=settings.proxy.look_path
        )

    def look(self, timeout_s: float = LOOK_TIMEOUT_S) -> CaddySight:
        """One, on a fresh connection. Never raises for what Caddy or the app does."""
        nonce = new_look(read_secret(self._layout.look_mark))
        yield_reserve(self._layout.reserve)
        log = LineTail(self._layout.access_log)
        try:
            status = ask_look(self.target, headers={LOOK_HEADER: nonce}, timeout_s=timeout_s)
            line = _await_line(log, nonce)
        except OSError as error:
            return CaddySight(slot=None, detail=f"{self._proxy.listen} did not answer: {error}")
        finally:
            log.close()
        if line is None or not line.generation:
            detail = f"{self._proxy.site} answered {status}, but not by this app's route"
            return CaddySight(slot=None, status=status, detail=detail)
        return CaddySight(
            slot=self._slots.get(line.upstream),
            status=status,
            detail=f"{status} from {line.upstream or 'no slot'}",
            config=line.generation,
            share=line.celadon_route,
        )

    def watch(self, to: Slot, *, percent: int = 100) -> Watched:
        """Until the slot answers, or any slot by that share."""
        share = route_path(self._layout.pointer, to, percent=percent).name
        if percent == 100:
            return self._watch(
                lambda sight: sight.answered_by(to) and not sight.share,
                sick=lambda sight: sight.failed_by(to) and not sight.share,
            )
        return self._watch(lambda sight: sight.share == share and sight.is_fine)

    def _watch(
        self, wanted: Callable[[CaddySight], bool], *, sick: Callable[[CaddySight], bool] = lambda _: False
    ) -> Watched:
        return watch_until(
            self.look,
            lambda sight: isinstance(sight, CaddySight) and wanted(sight),
            sick=lambda sight: isinstance(sight, CaddySight) and sick(sight),
            count=self._proxy.looks_count,
            timeout_s=self._proxy.seen_timeout_s,
        )

    def await_generation(self, generation: str) -> bool:
        """Whether the rendered text of that name answers in time."""
        return wait_until(lambda: self.look().config == generation, timeout_s=self._proxy.seen_timeout_s)

    def is_refused(self) -> bool:
        return is_refused(self.target)


def _await_line(log: LineTail, nonce: str) -> CaddyLine | None:
    found: CaddyLine | None = None
    wanted = nonce.encode()

    def arrived() -> bool:
        nonlocal found
        for line in log.read_lines():
            if wanted in line:
                found = parse_caddy_line(line)
        return found is not None

    wait_until(arrived, timeout_s=_LOG_LINE_TIMEOUT_S)
    return found
