"""A proxy in memory, held to the same promises as the real ones (tests/contract/proxy_promises.py)."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from celadon.contracts.proxy import RenderedFile
from celadon.contracts.traffic import Traffic
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.observed import Effect, Finding, FindingLevel, Hit, RouteView, Split, Switched


class FakeTraffic:
    def __init__(self, log: list[Hit]) -> None:
        self._log = log
        self._position = len(log)

    def read(self) -> Sequence[Hit]:
        hits = self._log[self._position :]
        self._position += len(hits)
        return hits

    def past(self, *, since_s: float, is_over: Callable[[], bool]) -> Iterator[Iterable[tuple[float, Hit]]]:
        """All of it, of this moment."""
        if not is_over():
            yield [(time.time(), hit) for hit in self._log]

    @property
    def unreadable_count(self) -> int:
        return 0

    def close(self) -> None:
        self._position = len(self._log)


class FakeProxy:
    """`route` is what it routes to. Set `refusal` and every switch is refused before anything moves; set `unseen` and
    the route moves but no answer is seen; set `refuses_install` and install raises. `running` False: looks fail."""

    def __init__(self, *, reloads: bool = False, route: Slot | None = None) -> None:
        self.route = route
        self.split: Split | None = None
        self.reloads = reloads
        self.running = True
        self.refusal = ""
        self.unseen = ""
        self.refuses_install = ""
        self.lingering_count = 0
        self.findings: list[Finding] = []
        self.log: list[Hit] = []
        self.switches: list[Slot] = []
        self._installed = False

    def check(self) -> Sequence[Finding]:
        fine = Finding(level=FindingLevel.OK, subject="proxy", text="runs")
        down = Finding(level=FindingLevel.PROBLEM, subject="proxy", text="does not run")
        return self.findings or [fine if self.running else down]

    def render(self) -> Sequence[RenderedFile]:
        return [RenderedFile(path=Path("/etc/proxy/route.conf"), text="route\n")]

    def install(self) -> bool:
        if self.refuses_install:
            raise StepError(self.refuses_install, code="proxy_config_refused", next_command="celadon check")
        changed = not self._installed
        self._installed = True
        return changed

    def observe(self) -> RouteView:
        detail = "" if self.running else "connection refused"
        return RouteView(
            slot=self.route,
            seen=self.running,
            split=self.split,
            lingering_count=self.lingering_count,
            detail=detail,
        )

    def switch(self, to: Slot, *, percent: int = 100, reached: Callable[[str], None]) -> Switched:
        if self.refusal:
            return Switched(to=to, seen=False, effect=Effect.NONE, reason=self.refusal)
        if not (self.reloads and self.route is to):
            self._move(to, percent, reached)
        if not self.running:
            return Switched(to=to, seen=False, effect=Effect.AT_REST, reason="the proxy does not run")
        if self.unseen:
            return Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason=self.unseen)
        self.switches.append(to)
        return Switched(to=to, seen=True, effect=Effect.MOVED, moved_ms=0.1, seen_ms=0.5, settled_ms=1.0)

    def _move(self, to: Slot, percent: int, reached: Callable[[str], None]) -> None:
        if self.reloads:
            reached("validated")
        reached("before_pointer")
        self.route = to if percent == 100 else to.other
        self.split = None if percent == 100 else Split(slot=to, percent=percent)
        reached("after_pointer")
        if self.reloads:
            reached("before_reload")
            reached("after_reload")

    def traffic(self) -> Traffic:
        return FakeTraffic(self.log)

    def serve(self, status: int = 200, *, count: int = 1, route: str = "GET /", duration_ms: float = 1.0) -> None:
        """Requests of visitors, answered by the slot that is routed."""
        self.log += [
            Hit(
                slot=self.route,
                status=status,
                upstream_status=status,
                duration_ms=duration_ms,
                client_key="203.0.113.7",
                route=route,
                request_id=str(len(self.log) + each),
            )
            for each in range(count)
        ]
