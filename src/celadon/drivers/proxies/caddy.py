"""Caddy: the route as a pointer that it looks at with each request, or as a snippet that it reloads (caddy_reload).

Nothing here touches the admin API over TCP: its address is given, or the configuration's own is used by `caddy
reload`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from celadon.contracts.proxy import RenderedFile
from celadon.contracts.traffic import Traffic
from celadon.drivers.proxies.caddy_command import last_words
from celadon.drivers.proxies.caddy_files import SnippetFiles
from celadon.drivers.proxies.caddy_log import ensure_log_writable
from celadon.drivers.proxies.caddy_look import CaddyLooks, CaddySight
from celadon.drivers.proxies.caddy_reload import CaddyReloading
from celadon.drivers.proxies.caddy_text import render_logged
from celadon.drivers.proxies.edited import refuse_edits
from celadon.drivers.proxies.seen import switch_by_pointer
from celadon.drivers.traffic.caddy_lines import CaddyLineParser
from celadon.drivers.traffic.json_lines import JsonLinesTraffic
from celadon.drivers.traffic.times import read_caddy_time
from celadon.host.layout import Layout
from celadon.host.look_mark import read_secret
from celadon.host.pointer import read_pointer, read_split
from celadon.model.address import TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Finding, RouteView, Split, Switched
from celadon.model.settings import Settings, SwitchWay


class CaddyProxy:
    """Implements contracts.proxy.Proxy for one app."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._proxy = settings.proxy
        self._files = SnippetFiles(layout, settings)
        self._looks = CaddyLooks(layout, settings)
        self._reloading = CaddyReloading(layout, settings.proxy, files=self._files, looks=self._looks)
        self._listen = TcpAddress(host=self._looks.target.address[0], port=self._looks.target.address[1])

    def check(self) -> Sequence[Finding]:
        from celadon.drivers.proxies.caddy_check import check_caddy

        return check_caddy(
            layout=self._layout, settings=self._settings, files=self._files, looks=self._looks, listen=self._listen
        )

    def render(self) -> Sequence[RenderedFile]:
        return [RenderedFile(path=path, text=text) for path, text in self._files.render_own().items()]

    def install(self) -> bool:
        refuse_edits(self._layout, self._files.render_own())
        if self._files.json is not None:
            self._files.json.refuse_edits()
        before = self._files.read()
        self._prepare()
        rendered = self._files.render()
        generation = self._files.generation()
        if before == rendered and self._looks.look().config == generation:
            return False
        self._refuse_invalid(rendered)
        self._files.put(rendered)
        reason = self._reloading.load_or_put_back(before, generation=generation)
        if reason:
            raise StepError(reason, code="proxy_reload_refused", next_command="celadon check")
        return True

    def observe(self) -> RouteView:
        while True:
            named = self._read_named()
            view = self._observe(*named)
            if named == self._read_named():
                return view

    def switch(self, to: Slot, *, percent: int = 100, reached: Callable[[str], None]) -> Switched:
        if self._proxy.switch is not SwitchWay.POINTER:
            return self._reloading.switch(to, reached=reached)
        return switch_by_pointer(
            self._layout.pointer,
            to,
            percent=percent,
            reached=reached,
            rests=self._looks.is_refused,
            watch=lambda: self._looks.watch(to, percent=percent),
        )

    def traffic(self) -> Traffic:
        slots = {render_logged(address): slot for address, slot in self._settings.web.slots.items()}
        parser = CaddyLineParser(slots)
        return JsonLinesTraffic(
            self._layout.access_log,
            mark=read_secret(self._layout.look_mark),
            parse=parser.parse,
            parse_block=parser.parse_block,
            read_time=read_caddy_time,
        )

    def _read_named(self) -> tuple[Slot | None, Slot | None, Split | None]:
        return self._files.read_route(), read_pointer(self._layout.pointer), read_split(self._layout.pointer)

    def _observe(self, route: Slot | None, pointed: Slot | None, split: Split | None) -> RouteView:
        sight = self._looks.look()
        if sight.status is None or not sight.config:
            return RouteView(slot=route, seen=False, split=split, detail=sight.detail)
        if pointed is None:
            return RouteView(slot=None, seen=True, detail=sight.detail)
        named = self._layout.pointer.joinpath("live").readlink().name if split else ""
        wrong = sight.share != named or (not split and sight.slot not in {None, pointed})
        return RouteView(
            slot=(sight.slot if wrong else None) or route,
            seen=True,
            split=None if wrong else split,
            detail=sight.detail,
            disagreement=_tell(pointed, sight, named=named) if wrong else "",
        )

    def _prepare(self) -> None:
        self._files.prepare()
        ensure_log_writable(self._layout.access_log, listen=self._listen)

    def _refuse_invalid(self, rendered: Mapping[Path, str]) -> None:
        """The proxy's own checker speaks before a file is in place."""
        from celadon.drivers.proxies.caddy_stage import judge_staged

        judged = judge_staged(self._proxy, rendered, scratch=self._layout.home)
        if not judged.ok:
            raise StepError(last_words(judged), code="proxy_config_refused", next_command="celadon check")


def _tell(pointed: Slot, sight: CaddySight, *, named: str) -> str:
    """After a reload that never came, or of a Caddy that cannot read the pointer."""
    running = sight.share or (sight.slot.value if sight.slot else "no slot")
    return f"the pointer names {named or pointed.value}, but Caddy answers from {running}"
