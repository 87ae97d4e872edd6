"""A switch of HAProxy's: first the pointer, which whatever starts HAProxy reads, then the running process.

The pointer is made durable after the process has its command: a loss of power in between ends that process too, and
what then starts reads the pointer, whichever of the two it is.
"""

import time
from collections.abc import Callable
from functools import partial

from celadon.drivers.proxies.haproxy_files import HaproxyFiles, last_words
from celadon.drivers.proxies.haproxy_look import HaproxyLooks
from celadon.drivers.proxies.haproxy_reload import Reloading
from celadon.drivers.proxies.haproxy_route import Route, read_value
from celadon.drivers.proxies.haproxy_text import KEY, MAP, render_value
from celadon.drivers.proxies.hold import hold_configuration
from celadon.drivers.proxies.look import wait_until
from celadon.drivers.proxies.seen import say_at_rest, say_switched
from celadon.host.layout import Layout
from celadon.host.pointer import (
    is_pointed,
    keep_pointer,
    live_path,
    move_pointer,
    read_pointer,
    read_split,
    turn_pointer,
)
from celadon.model.names import Slot
from celadon.model.observed import WHOLE, Effect, Switched
from celadon.model.settings import ProxySettings, SwitchWay

_ENDS_S = 1.0
"""A HAProxy that is being stopped closes its runtime socket before its last worker has gone."""


class Switching:
    def __init__(
        self, layout: Layout, proxy: ProxySettings, *, files: HaproxyFiles, looks: HaproxyLooks, reloading: Reloading
    ) -> None:
        self._pointer = layout.pointer
        self._proxy = proxy
        self._files = files
        self._looks = looks
        self._process = files.process
        self._reloading = reloading

    def switch(self, to: Slot, *, percent: int, reached: Callable[[str], None]) -> Switched:
        started_at_s = time.monotonic()
        if self._proxy.switch is SwitchWay.RELOAD:
            return self._switch_by_reload(to, reached=reached, started_at_s=started_at_s)
        load = partial(self._set_route, render_value(to, percent))
        return self._move(to, percent=percent, load=load, reached=reached, started_at_s=started_at_s)

    def _switch_by_reload(self, to: Slot, *, reached: Callable[[str], None], started_at_s: float) -> Switched:
        if is_pointed(self._pointer, to) and self._looks.watch(to, percent=WHOLE, timeout_s=0.0).held:
            return self._say_seen(to, percent=WHOLE, started_at_s=started_at_s, moved_at_s=started_at_s)
        with hold_configuration(self._proxy):
            judged = self._files.judge({})
            if not judged.ok:
                return Switched(to=to, seen=False, effect=Effect.NONE, reason=last_words(judged))
            reached("validated")
            load = partial(self._reloading.load, reached=reached)
            return self._move(to, percent=WHOLE, load=load, reached=reached, started_at_s=started_at_s)

    def _move(
        self, to: Slot, *, percent: int, load: Callable[[], str], reached: Callable[[str], None], started_at_s: float
    ) -> Switched:
        before = read_pointer(self._pointer), read_split(self._pointer)
        reached("before_pointer")
        failed = self._point(to, percent=percent)
        if failed is not None:
            return failed
        reached("after_pointer")
        refused = load()
        moved_at_s = time.monotonic()
        failed = self._keep(to)
        if failed is not None:
            return failed
        if not refused:
            return self._say_seen(to, percent=percent, started_at_s=started_at_s, moved_at_s=moved_at_s)
        if not self._process.read_worker_pid() and wait_until(self._looks.is_refused, timeout_s=_ENDS_S):
            return say_at_rest(to, moved_ms=(moved_at_s - started_at_s) * 1000)
        return self._put_back(to, before=before, reason=refused)

    def _point(self, to: Slot, *, percent: int) -> Switched | None:
        """None once the pointer names it."""
        try:
            if not is_pointed(self._pointer, to, percent=percent):
                turn_pointer(self._pointer, to, percent=percent)
        except OSError as error:
            effect = Effect.UNKNOWN if is_pointed(self._pointer, to, percent=percent) else Effect.NONE
            return Switched(to=to, seen=False, effect=effect, reason=f"the pointer could not be moved: {error}")
        return None

    def _keep(self, to: Slot) -> Switched | None:
        """None once no loss of power can move the pointer back."""
        try:
            keep_pointer(self._pointer)
        except OSError as error:
            return Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason=f"the pointer is not durable: {error}")
        return None

    def _say_seen(self, to: Slot, *, percent: int, started_at_s: float, moved_at_s: float) -> Switched:
        """A reload by somebody else, begun before the pointer moved, brings the earlier number back: it is waited
        for, and the number sent, or the reload asked for, again where looks show another."""
        again: Callable[[], object] = self._reloading.ask_again
        if self._proxy.switch is SwitchWay.POINTER:
            self._process.await_master()
            again = partial(self._send, render_value(to, percent))
        watched = self._looks.watch(to, percent=percent, timeout_s=self._proxy.seen_timeout_s, otherwise=again)
        return say_switched(to, watched, started_at_s=started_at_s, moved_at_s=moved_at_s)

    def _set_route(self, value: int) -> str:
        """Twice: a socket that is handed over in a reload may take a command and never answer."""
        return self._send(value) and self._send(value)

    def _send(self, value: int) -> str:
        """One command. Empty when HAProxy took it, else why not."""
        try:
            said = self._process.ask(f"set map {live_path(self._pointer) / MAP} {KEY} {value}").strip()
        except OSError as error:
            return f"the runtime socket {self._process.admin or '(none is configured)'} did not answer: {error}"
        return f"haproxy refused `set map`: {said}" if said else ""

    def _put_back(self, to: Slot, *, before: Route, reason: str) -> Switched:
        """On the pointer too: a restart must not do what could not be done now."""
        slot, split = before
        if slot is None:
            return Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason=reason)
        try:
            move_pointer(self._pointer, split.slot if split else slot, percent=split.percent if split else WHOLE)
        except OSError as error:
            told = f"{reason}; the pointer could not be put back: {error}"
            return Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason=told)
        looked = self._looks.look()
        stayed = looked.told is not None and looked.told.value == read_value(self._pointer)
        return Switched(to=to, seen=False, effect=Effect.NONE if stayed else Effect.UNKNOWN, reason=reason)
