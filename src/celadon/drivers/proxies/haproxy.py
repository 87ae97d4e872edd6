"""HAProxy: the route as a number in a map, changed on the runtime socket or read anew by a reload.

The map is read through the pointer, so whatever starts HAProxy, at any instant of a switch, starts it with the route
that the pointer names. `pointer` moves the pointer and then sends one command; `reload` moves it and asks the master,
and is for sites without a runtime socket that may do everything.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from celadon.contracts.proxy import RenderedFile
from celadon.contracts.traffic import Traffic
from celadon.drivers.proxies.haproxy_files import HaproxyFiles, last_words, read_text
from celadon.drivers.proxies.haproxy_look import HaproxyLooks
from celadon.drivers.proxies.haproxy_reload import Reloading
from celadon.drivers.proxies.haproxy_route import prepare_route, read_value, tell_disagreement
from celadon.drivers.proxies.haproxy_text import KEY, MAP, parse_value, render_value, ring_name, server_name
from celadon.drivers.proxies.look import wait_until
from celadon.drivers.proxies.seen import say_at_rest, say_switched
from celadon.drivers.traffic.haproxy_lines import HaproxyLineParser
from celadon.drivers.traffic.haproxy_log import FileTraffic
from celadon.drivers.traffic.haproxy_ring import RingTraffic
from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.host.look_mark import ensure_secret
from celadon.host.pointer import is_pointed, live_path, move_pointer, read_pointer, read_split
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Effect, Finding, RouteView, Split, Switched
from celadon.model.settings import Settings, SwitchWay

_WHOLE = 100
_ENDS_S = 1.0
"""A HAProxy that is being stopped closes its runtime socket before its last worker has gone."""


class HaproxyProxy:
    """Implements contracts.proxy.Proxy for one app."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._layout = layout
        self._settings = settings
        self._files = HaproxyFiles(layout, settings)
        self._looks = HaproxyLooks(layout, settings.proxy)
        self._process = self._files.process
        self._reloading = Reloading(settings.proxy, process=self._process, files=self._files, looks=self._looks)

    def check(self) -> Sequence[Finding]:
        from celadon.drivers.proxies.haproxy_check import HaproxyCheck

        ensure_prepared = self._layout.look_mark.exists()
        check = HaproxyCheck(self._layout, self._settings, files=self._files, looks=self._looks, process=self._process)
        return check.find(self._files.render(), traffic=self.traffic if ensure_prepared else None)

    def render(self) -> Sequence[RenderedFile]:
        return [RenderedFile(path=path, text=text) for path, text in self._files.render_owned().items()]

    def install(self) -> bool:
        rendered = self._files.render()
        edited = self._files.find_edited(rendered)
        if edited:
            raise StepError(f"{edited[0]} was edited by hand", code="proxy_hand_edited", next_command="celadon check")
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
        started_at_s = time.monotonic()
        before = read_pointer(self._layout.pointer), read_split(self._layout.pointer)
        reload = self._settings.proxy.switch is SwitchWay.RELOAD
        if reload:
            if is_pointed(self._layout.pointer, to) and self._looks.watch(to, percent=_WHOLE, timeout_s=0.0).held:
                return self._say_seen(to, percent=percent, started_at_s=started_at_s, moved_at_s=started_at_s)
            judged = self._files.judge({})
            if not judged.ok:
                return Switched(to=to, seen=False, effect=Effect.NONE, reason=last_words(judged))
            reached("validated")
        reached("before_pointer")
        try:
            if not is_pointed(self._layout.pointer, to, percent=percent):
                move_pointer(self._layout.pointer, to, percent=percent)
        except OSError as error:
            moved = is_pointed(self._layout.pointer, to, percent=percent)
            effect = Effect.UNKNOWN if moved else Effect.NONE
            return Switched(to=to, seen=False, effect=effect, reason=f"the pointer could not be moved: {error}")
        reached("after_pointer")
        if self._looks.is_refused():
            return say_at_rest(to, moved_ms=(time.monotonic() - started_at_s) * 1000)
        refused = self._reloading.load(reached=reached) if reload else self._set_route(render_value(to, percent))
        moved_at_s = time.monotonic()
        if refused and not self._process.read_worker_pid() and wait_until(self._looks.is_refused, timeout_s=_ENDS_S):
            return say_at_rest(to, moved_ms=(moved_at_s - started_at_s) * 1000)
        if refused:
            return self._put_back(to, before=before, reason=refused)
        return self._say_seen(to, percent=percent, started_at_s=started_at_s, moved_at_s=moved_at_s)

    def traffic(self) -> Traffic:
        names = {
            server_name(self._layout.app, slot, aside=aside): (slot, aside) for slot in Slot for aside in (False, True)
        }
        parser = HaproxyLineParser(names)
        if self._settings.proxy.access_log is not None:
            return FileTraffic(Path(self._settings.proxy.access_log), parser=parser)
        return RingTraffic(self._process.admin, ring=ring_name(self._layout.app), parser=parser)

    def _say_seen(self, to: Slot, *, percent: int, started_at_s: float, moved_at_s: float) -> Switched:
        watched = self._looks.watch(to, percent=percent, timeout_s=self._settings.proxy.seen_timeout_s)
        return say_switched(to, watched, started_at_s=started_at_s, moved_at_s=moved_at_s)

    def _set_route(self, value: int) -> str:
        """One command. Empty when HAProxy took it, else why not."""
        try:
            said = self._process.ask(f"set map {live_path(self._layout.pointer) / MAP} {KEY} {value}").strip()
        except OSError as error:
            return f"the runtime socket {self._process.admin or '(none is configured)'} did not answer: {error}"
        return f"haproxy refused `set map`: {said}" if said else ""

    def _put_back(self, to: Slot, *, before: tuple[Slot | None, Split | None], reason: str) -> Switched:
        """On the pointer too: a restart must not do what could not be done now."""
        slot, split = before
        if slot is None:
            return Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason=reason)
        try:
            move_pointer(
                self._layout.pointer, split.slot if split else slot, percent=split.percent if split else _WHOLE
            )
        except OSError as error:
            told = f"{reason}; the pointer could not be put back: {error}"
            return Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason=told)
        looked = self._looks.look()
        stayed = looked.told is not None and looked.told.value == read_value(self._layout.pointer)
        return Switched(to=to, seen=False, effect=Effect.NONE if stayed else Effect.UNKNOWN, reason=reason)

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
