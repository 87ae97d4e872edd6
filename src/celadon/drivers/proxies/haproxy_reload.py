"""Asking HAProxy's master to load what is on the disk, and believing only what is seen.

`haproxy -c` exits 0 on a bind that somebody else holds, and the signal has no answer: the master then keeps the old
worker and counts a failure (`[failed: 1]` in `show proc` on its own socket, where it has one).
"""

import time
from collections.abc import Callable
from contextlib import suppress

from celadon.drivers.proxies.haproxy_files import HaproxyFiles
from celadon.drivers.proxies.haproxy_look import HaproxyLooks
from celadon.drivers.proxies.haproxy_process import HaproxyProcess
from celadon.drivers.proxies.look import wait_until
from celadon.model.address import TcpAddress
from celadon.model.settings import ProxySettings

_PAUSE_S = 0.005
_AGAIN_AFTER_S = 1.0


class Reloading:
    def __init__(
        self, proxy: ProxySettings, *, process: HaproxyProcess, files: HaproxyFiles, looks: HaproxyLooks
    ) -> None:
        self._proxy = proxy
        self._process = process
        self._files = files
        self._looks = looks
        self._asked_at_s = 0.0

    def load(self, *, reached: Callable[[str], None]) -> str:
        """Returns when another worker takes new connections and the one before it none. Empty then, else why not.
        A reload of somebody else's that is under way would swallow the signal, so the end of one is waited for."""
        self._process.await_master()
        port = int(self._proxy.listen.rpartition(":")[2])
        old = self._process.read_worker_pid()
        failed_count = self._process.read_failed_count() or 0
        reached("before_reload")
        try:
            self._ask()
        except (ProcessLookupError, PermissionError) as error:
            return str(error)
        reached("after_reload")
        refused = False

        def settled() -> bool:
            nonlocal refused
            worker = self._process.read_worker_pid()
            if worker not in {None, old}:
                return not (old and self._process.takes_new(old, port))
            refused = (self._process.read_failed_count() or 0) > failed_count
            if not refused:
                self.ask_again()
            return refused

        deadline_s = time.monotonic() + self._proxy.seen_timeout_s
        held = wait_until(settled, timeout_s=deadline_s - time.monotonic(), pause_s=_PAUSE_S)
        if refused or not held:
            return f"haproxy's master did not carry out the reload{self._name_taken()}"
        return ""

    def ask_again(self) -> None:
        """Where the worker or the route is still the old one: a reload that had begun before (of somebody else, or of
        a switch that was broken off) may have swallowed ours. Asked at most once a second, and not while the master is
        at work: a bind that is taken keeps it for two."""
        if time.monotonic() - self._asked_at_s >= _AGAIN_AFTER_S and self._process.is_master_free():
            with suppress(ProcessLookupError, PermissionError):
                self._ask()
        self._process.nudge()

    def _ask(self) -> None:
        self._asked_at_s = time.monotonic()
        self._process.reload()

    def load_generation(self, generation: str) -> str:
        """Have HAProxy load what is in place. Empty once the text of that name answers, else why not."""
        reason = self.load(reached=lambda _: None)
        if reason:
            return reason
        watched = self._looks.watch_generation(generation)
        return "" if watched.held else watched.last.detail

    def _name_taken(self) -> str:
        """The bind that others hold, which is what `haproxy -c` cannot know."""
        from celadon.host.sockets import KernelSockets

        try:
            sections = self._files.read_sections()
        except OSError:
            return ""
        for line in (line for section in sections for line in section.find("bind")):
            port = line.words[1].rpartition(":")[2] if len(line.words) > 1 else ""
            pids = KernelSockets().listening_pids(TcpAddress(port=int(port))) if port.isdigit() else None
            if pids and not any(self._process.is_own(pid) for pid in pids):
                return f": bind {line.words[1]} ({line.where}) is taken by process {min(pids)}"
        return ""
