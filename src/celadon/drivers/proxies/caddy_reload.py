"""The way that reloads: the snippet names the slot, and Caddy loads it.

A reload answers truthfully (400 with the reason) but resets connections that the kernel has queued (23 of 103,560) and
closes idle ones; WebSockets are kept until the drain is over. It is there for sites whose owner wants a static
upstream.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from celadon.drivers.proxies.caddy_admin import reload
from celadon.drivers.proxies.caddy_command import last_words
from celadon.drivers.proxies.caddy_files import SnippetFiles
from celadon.drivers.proxies.caddy_look import CaddyLooks
from celadon.drivers.proxies.caddy_stage import judge_staged
from celadon.drivers.proxies.edited import keep_edit
from celadon.drivers.proxies.seen import say_at_rest, say_switched
from celadon.host.layout import Layout
from celadon.host.pointer import move_pointer
from celadon.model.names import Slot
from celadon.model.observed import Effect, Switched
from celadon.model.settings import ProxySettings


class CaddyReloading:
    def __init__(self, layout: Layout, proxy: ProxySettings, *, files: SnippetFiles, looks: CaddyLooks) -> None:
        self._layout = layout
        self._proxy = proxy
        self._files = files
        self._looks = looks

    def switch(self, to: Slot, *, reached: Callable[[str], None]) -> Switched:
        began_s = time.monotonic()
        before = self._files.read_route()
        if before is to and self._looks.look().answered_by(to):
            return say_switched(to, self._looks.watch(to), started_at_s=began_s, moved_at_s=began_s)
        rendered = self._files.render(to)
        judged = judge_staged(self._proxy, rendered, scratch=self._layout.home)
        if not judged.ok:
            return Switched(to=to, seen=False, effect=Effect.NONE, reason=last_words(judged))
        reached("validated")
        previous = self._files.read()
        reached("before_pointer")
        try:
            for path in rendered:
                if path != self._files.main or self._files.is_main_edited():
                    keep_edit(self._layout, path)
            self._files.put(rendered)
            move_pointer(self._layout.pointer, to)
        except OSError as error:
            return self._not_moved(to, f"the snippet could not be replaced: {error}")
        reached("after_pointer")
        if self._looks.is_refused():
            return say_at_rest(to, moved_ms=(time.monotonic() - began_s) * 1000)
        reached("before_reload")
        reloaded = reload(self._proxy)
        moved_s = time.monotonic()
        reached("after_reload")
        if not reloaded.ok:
            return self._put_back(to, previous, before=before, reason=last_words(reloaded))
        return say_switched(to, self._looks.watch(to), started_at_s=began_s, moved_at_s=moved_s)

    def load_or_put_back(self, before: Mapping[Path, str | None], *, generation: str) -> str:
        """Why the snippet in place is not in force and was put back; empty when it is."""
        reloaded = reload(self._proxy)
        if reloaded.ok and self._looks.await_generation(generation):
            return ""
        self._files.put(before)
        reload(self._proxy)
        if not reloaded.ok:
            return f"caddy refused the reload: {last_words(reloaded)}"
        return f"{self._proxy.site} on {self._proxy.listen} is not answered by the route in {self._files.route}"

    def _put_back(self, to: Slot, previous: Mapping[Path, str | None], *, before: Slot | None, reason: str) -> Switched:
        self._files.put(previous)
        if before is not None:
            move_pointer(self._layout.pointer, before)
        still = self._looks.look().slot is to
        if still:
            # another app's reload has loaded our file while it lay there
            reload(self._proxy)
            still = self._looks.look().slot is to
        effect = Effect.UNKNOWN if still else Effect.NONE
        return Switched(to=to, seen=False, effect=effect, reason=f"caddy refused the reload: {reason}")

    def _not_moved(self, to: Slot, reason: str) -> Switched:
        effect = Effect.UNKNOWN if self._files.read_route() is to else Effect.NONE
        return Switched(to=to, seen=False, effect=effect, reason=reason)
