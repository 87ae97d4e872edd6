"""nginx's ways that reload: judge, move, ask the master, and believe only what is seen.

A reload that the master refused exits 0 everywhere; it is found in the error log, and what was there is put back.
"""

import time
from collections.abc import Callable

from msgspec import Struct

from celadon.drivers.proxies.look import wait_until
from celadon.drivers.proxies.nginx_files import RouteFiles
from celadon.drivers.proxies.nginx_look import NginxLooks
from celadon.drivers.proxies.nginx_process import BIND_FAILED, NginxProcess, Refusals
from celadon.drivers.proxies.seen import say_at_rest, say_switched
from celadon.host.layout import Layout
from celadon.host.pointer import move_pointer, read_pointer
from celadon.model.names import Slot
from celadon.model.observed import Effect, Switched
from celadon.model.settings import ProxySettings


class _Reloaded(Struct, frozen=True, kw_only=True):
    """`refused`: nginx's words. `first_at_s`: the monotonic instant of the new slot's first answer, 0 for none yet."""

    refused: str
    first_at_s: float
    settled: bool


class Reloading:
    def __init__(
        self, layout: Layout, proxy: ProxySettings, *, files: RouteFiles, looks: NginxLooks, process: NginxProcess
    ) -> None:
        self._layout = layout
        self._proxy = proxy
        self._files = files
        self._looks = looks
        self._process = process

    def switch(self, to: Slot, *, reached: Callable[[str], None]) -> Switched:
        from celadon.drivers.proxies.nginx_stage import judge_staged

        started_at_s = time.monotonic()
        before = self._files.read_route()
        if before is to and (seen := self._already(to, started_at_s=started_at_s)):
            return seen
        instead = self._files.render_state(to)
        judged = judge_staged(self._proxy.binary, self._files.main, instead=instead, scratch=self._layout.home)
        if not judged.ok:
            return Switched(to=to, seen=False, effect=Effect.NONE, reason=judged.said)
        reached("validated")
        reached("before_pointer")
        try:
            self._files.place(to)
        except OSError as error:
            return self._not_moved(to, f"the route's file could not be replaced: {error}")
        reached("after_pointer")
        if self.rests():
            return say_at_rest(to, moved_ms=(time.monotonic() - started_at_s) * 1000)
        return self._load(to, before=before, reached=reached, started_at_s=started_at_s)

    def load_generation(self, generation: str) -> str:
        """Have nginx load what is in place. Empty once the text of that name answers, else why not."""
        refused, _ = self._load_new()
        if refused:
            return refused
        watched = self._looks.watch_generation(generation)
        return "" if watched.held else watched.last.detail

    def load_plain(self) -> str:
        """Empty once only workers with what is in place take new work, else why not."""
        refused, settled = self._load_new()
        return refused or ("" if settled else "its old workers go on")

    def _load_new(self) -> tuple[str, bool]:
        """Nginx's refusal, and whether the old workers have stopped to take work."""
        refusals = self._process.watch_refusals()
        try:
            old = self._process.read_working()
            self._process.reload()
            reloaded = self._await_taken(old, refusals, to=None)
            return reloaded.refused, reloaded.settled
        except ProcessLookupError as error:
            return str(error), False
        finally:
            refusals.close()

    def rests(self) -> bool:
        return self._looks.is_refused() and self._process.read_master_pid() is None

    def _already(self, to: Slot, *, started_at_s: float) -> Switched | None:
        """The route's file names `to`; it is in force when looks say so too. After a death between move and reload
        they do not."""
        watched = self._looks.watch(to, timeout_s=0.0)
        if not watched.held:
            return None
        if read_pointer(self._layout.pointer) is not to:
            move_pointer(self._layout.pointer, to)
        return say_switched(to, watched, started_at_s=started_at_s, moved_at_s=started_at_s)

    def _load(self, to: Slot, *, before: Slot | None, reached: Callable[[str], None], started_at_s: float) -> Switched:
        refusals = self._process.watch_refusals()
        try:
            old = self._process.read_working()
            reached("before_reload")
            self._process.reload()
            moved_at_s = time.monotonic()
            reached("after_reload")
            reloaded = self._await_taken(old, refusals, to=to)
            if reloaded.refused:
                return self._put_back(to, before=before, reason=reloaded.refused)
            left_s = max(0.0, self._proxy.seen_timeout_s - (time.monotonic() - moved_at_s))
            watched = self._looks.watch(to, timeout_s=left_s)
            if not watched.held and (refused := refusals.look()):
                return self._put_back(to, before=before, reason=refused)
            first_at_s = reloaded.first_at_s or watched.first_at_s
            return say_switched(to, watched, started_at_s=started_at_s, moved_at_s=moved_at_s, first_at_s=first_at_s)
        except ProcessLookupError as error:
            return self._put_back(to, before=before, reason=str(error))
        finally:
            refusals.close()

    def _await_taken(self, old: frozenset[int], refusals: Refusals, *, to: Slot | None) -> _Reloaded:
        """Asks once more where nginx refused what it takes now: it read another app's files while they were put in
        place, the first of them before and the last after. Raises ProcessLookupError."""
        reloaded = self._await_new_workers(old, refusals, to=to)
        if not reloaded.refused or reloaded.refused.startswith(BIND_FAILED) or not self._is_valid():
            return reloaded
        refusals.forget()
        self._process.reload()
        return self._await_new_workers(old, refusals, to=to)

    def _is_valid(self) -> bool:
        from celadon.drivers.proxies.nginx_stage import judge_staged

        return judge_staged(self._proxy.binary, self._files.main, instead={}, scratch=self._layout.home).ok

    def _await_new_workers(self, old: frozenset[int], refusals: Refusals, *, to: Slot | None) -> _Reloaded:
        """Waits until none of the old workers takes new connections, nginx has refused, or the time is over. Looks
        in between, to know when `to` first answered."""
        refused = ""
        first_at_s = 0.0

        def settled() -> bool:
            nonlocal refused, first_at_s
            refused = refusals.look()
            working = self._process.read_working()
            if to and not first_at_s and self._looks.look().answered_by(to):
                first_at_s = time.monotonic()
            return bool(refused) or bool(working and not working & old)

        in_time = wait_until(settled, timeout_s=self._proxy.seen_timeout_s, pause_s=0.002)
        return _Reloaded(refused=refused, first_at_s=first_at_s, settled=in_time)

    def _put_back(self, to: Slot, *, before: Slot | None, reason: str) -> Switched:
        try:
            self._files.place(before)
            self._process.reload()
        except ProcessLookupError:
            return Switched(to=to, seen=False, effect=Effect.NONE, reason=reason)
        except OSError as error:
            told = f"{reason}; the old file could not be put back: {error}"
            return Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason=told)
        moved = self._looks.look().slot is to
        effect = Effect.UNKNOWN if moved else Effect.NONE
        return Switched(to=to, seen=False, effect=effect, reason=f"nginx refused the reload: {reason}")

    def _not_moved(self, to: Slot, reason: str) -> Switched:
        effect = Effect.UNKNOWN if self._files.read_route() is to else Effect.NONE
        return Switched(to=to, seen=False, effect=effect, reason=reason)
