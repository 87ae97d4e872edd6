"""Where visitors are known from in a window: the log, else the proxy's own counters, else nowhere.

A log that says nothing may be that of a site that nobody visits, or one that is gone: removed, full, rotated away, in a
form that cannot be read. So after a second of silence a request of ours is left in it, and must be found there. The
way leads down only: lines that come late were counted by then, and would count twice."""

from collections.abc import Sequence
from typing import Final

from celadon.contracts.counters import Counters
from celadon.contracts.judge import Judge
from celadon.contracts.traffic import Traffic
from celadon.deploy.run import Run
from celadon.events import SourceLost
from celadon.model.observed import Counted, Hit
from celadon.model.verdict import StandsOn

_SILENT_S: Final = 1.0
_LEAVE_EVERY_S: Final = 15.0
_LINE_DUE_S: Final = 5.0
_UNREADABLE_ENOUGH: Final = 20
_COUNT_EVERY_S: Final = 1.0
_COUNTERS_DUE_S: Final = 5.0


class Sources:
    """Of one window, from its opening on."""

    def __init__(self, run: Run, judge: Judge, traffic: Traffic) -> None:
        self._run = run
        self._judge = judge
        self._traffic = traffic
        self._counters: Counters = run.ports.make_counters()
        self._stands_on = StandsOn.LOG
        self._heard_s = self._counted_s = self._told_s = run.ports.clock.now_s()
        self._left_s: float | None = None
        self._asked_s: float | None = None
        self._unreadable_count = traffic.unreadable_count
        self._unheard: list[Counted] = []

    def feed(self) -> tuple[Sequence[Hit], Sequence[Counted]]:
        """Everything that is new, to the judge; and back, for who counts for people. Notes what was lost."""
        now_s = self._run.ports.clock.now_s()
        hits, counts = self._traffic.read(), self._count(now_s)
        if self._stands_on is StandsOn.LOG:
            counts = self._follow_log(hits, counts, now_s=now_s)
        else:
            hits = ()
            self._follow_counters(now_s=now_s)
        if hits:
            self._judge.take_traffic(hits)
        if counts:
            self._judge.take_counts(counts)
        return hits, counts

    def _follow_log(self, hits: Sequence[Hit], counts: Sequence[Counted], *, now_s: float) -> Sequence[Counted]:
        """What was counted since the log was heard last; empty while it is trusted."""
        self._unheard += counts
        if hits:
            self._heard_s, self._left_s = now_s, None
            self._unreadable_count = self._traffic.unreadable_count
            self._unheard.clear()
            return ()
        reason = self._find_deaf(now_s)
        if not reason:
            return ()
        has_counters = now_s - self._told_s < _COUNTERS_DUE_S and bool(self._unheard)
        self._stand_on(StandsOn.COUNTERS if has_counters else StandsOn.PROBES, reason=reason)
        return self._unheard if has_counters else ()

    def _follow_counters(self, *, now_s: float) -> None:
        if self._stands_on is StandsOn.COUNTERS and now_s - self._told_s >= _COUNTERS_DUE_S:
            reason = f"the proxy has not told its counters for {_COUNTERS_DUE_S:g} s"
            self._stand_on(StandsOn.PROBES, reason=reason)

    def _find_deaf(self, now_s: float) -> str:
        """Why the log is not to be trusted; empty while it is."""
        unreadable_count = self._traffic.unreadable_count - self._unreadable_count
        if unreadable_count >= _UNREADABLE_ENOUGH:
            return f"{unreadable_count} lines of the access log in a row could not be read"
        if self._left_s is not None and now_s - self._left_s >= _LINE_DUE_S:
            return f"a request through the proxy left no line in the access log within {_LINE_DUE_S:g} s"
        if self._left_s is None and self._is_leaving_due(now_s):
            self._asked_s = now_s
            self._left_s = now_s if self._run.ports.leave_line() else None
        return ""

    def _is_leaving_due(self, now_s: float) -> bool:
        asked_lately = self._asked_s is not None and now_s - self._asked_s < _LEAVE_EVERY_S
        return now_s - self._heard_s >= _SILENT_S and not asked_lately

    def _count(self, now_s: float) -> Sequence[Counted]:
        if self._stands_on is StandsOn.PROBES or now_s - self._counted_s < _COUNT_EVERY_S:
            return ()
        self._counted_s = now_s
        counts = self._counters.read()
        if counts is None:
            return ()
        self._told_s = now_s
        return counts

    def _stand_on(self, stands_on: StandsOn, *, reason: str) -> None:
        self._run.note(SourceLost(lost=self._stands_on, stands_on=stands_on, reason=reason))
        self._stands_on = stands_on
        self._judge.take_stand(stands_on, reason=reason)
