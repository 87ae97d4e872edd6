"""HAProxy: the route as a number in a map, changed on the runtime socket or read anew by a reload.

The map is read through the pointer, so whatever starts HAProxy, at any instant of a switch, starts it with the route
that the pointer names. `pointer` moves the pointer and then sends one command; `reload` moves it and asks the master,
and is for sites without a runtime socket that may do everything.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from celadon.contracts.proxy import RenderedFile
from celadon.contracts.traffic import Traffic
from celadon.drivers.proxies.haproxy_files import HaproxyFiles, last_words
from celadon.drivers.proxies.haproxy_look import HaproxyLooks
from celadon.drivers.proxies.haproxy_reload import Reloading
from celadon.drivers.proxies.haproxy_route import prepare_route, tell_disagreement
from celadon.drivers.proxies.haproxy_switch import Switching
from celadon.drivers.proxies.haproxy_text import parse_value, ring_name, server_name
from celadon.drivers.proxies.hold import hold_configuration
from celadon.drivers.traffic.haproxy_lines import HaproxyLineParser
from celadon.drivers.traffic.haproxy_log import FileTraffic
from celadon.drivers.traffic.haproxy_ring import RingTraffic
from celadon.host.files import read_text, write_atomic
from celadon.host.layout import Layout
from celadon.host.look_mark import ensure_secret
from celadon.host.pointer import read_pointer, read_split
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Finding, RouteView, Switched
from celadon.model.settings import Settings


class HaproxyProxy:
    """Implements contracts.proxy.Proxy for one app."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._files = HaproxyFiles(layout, settings)
        self._looks = HaproxyLooks(layout, settings.proxy)
        self._process = self._files.process
        self._reloading = Reloading(settings.proxy, process=self._process, files=self._files, looks=self._looks)
        self._switching = Switching(
            layout, settings.proxy, files=self._files, looks=self._looks, reloading=self._reloading
        )

    def check(self) -> Sequence[Finding]:
        from celadon.drivers.proxies.haproxy_check import HaproxyCheck

        ensure_prepared = self._layout.look_mark.exists()
        check = HaproxyCheck(self._layout, self._settings, files=self._files, looks=self._looks, process=self._process)
        return check.find(self._files.render(), traffic=self.traffic if ensure_prepared else None)

    def render(self) -> Sequence[RenderedFile]:
        return [RenderedFile(path=path, text=text) for path, text in self._files.render_owned().items()]

    def install(self) -> bool:
        with hold_configuration(self._settings.proxy):
            return self._install()

    def observe(self) -> RouteView:
        looked = self._looks.look()
        slot, split = read_pointer(self._layout.pointer), read_split(self._layout.pointer)
        lingering_count = self._process.count_lingering()
        if looked.told is None:
            detail = looked.sight.detail
            return RouteView(slot=slot, split=split, seen=False, lingering_count=lingering_count, detail=detail)
        running, running_split = parse_value(looked.told.value)
        return RouteView(
            slot=running,
            split=running_split,
            seen=True,
            lingering_count=lingering_count,
            detail=looked.sight.detail,
            disagreement=tell_disagreement(pointed=(slot, split), running=(running, running_split)),
        )

    def switch(self, to: Slot, *, percent: int = 100, reached: Callable[[str], None]) -> Switched:
        return self._switching.switch(to, percent=percent, reached=reached)

    def traffic(self) -> Traffic:
        names = {
            server_name(self._layout.app, slot, aside=aside): (slot, aside) for slot in Slot for aside in (False, True)
        }
        parser = HaproxyLineParser(names)
        if self._settings.proxy.access_log is not None:
            return FileTraffic(Path(self._settings.proxy.access_log), parser=parser)
        return RingTraffic(self._process.admin, ring=ring_name(self._layout.app), parser=parser)

    def _install(self) -> bool:
        rendered = self._files.render()
        self._files.refuse_edits(rendered)
        self._prepare()
        generation = self._files.generation()
        changed = {path: text for path, text in rendered.items() if read_text(path) != text}
        if not changed and self._looks.look().sight.config == generation:
            return False
        judged = self._files.judge(rendered)
        if not judged.ok:
            raise StepError(
                f"haproxy refuses the configuration: {last_words(judged)}",
                code="proxy_config_refused",
                next_command="celadon check",
            )
        self._put_and_load(changed, generation=generation)
        for path, text in self._files.render_owned().items():
            write_atomic(path, text)
        return True

    def _prepare(self) -> None:
        self._files.directory.mkdir(parents=True, exist_ok=True)
        ensure_secret(self._layout.look_mark)
        if self._settings.proxy.preview:
            ensure_secret(self._layout.preview_secret)
        prepare_route(self._layout.pointer, percents=self._settings.switch.steps)

    def _put_and_load(self, changed: Mapping[Path, str], *, generation: str) -> None:
        before = {path: read_text(path) for path in changed}
        for path, text in changed.items():
            write_atomic(path, text.encode(errors="surrogateescape"))
        reason = self._reloading.load_generation(generation)
        if not reason:
            return
        for path, old in before.items():
            if old is None:
                path.unlink(missing_ok=True)
            else:
                write_atomic(path, old.encode(errors="surrogateescape"))
        self._reloading.load(reached=lambda _: None)
        raise StepError(
            f"haproxy did not take the configuration: {reason}",
            code="proxy_reload_refused",
            next_command="celadon check",
        )
