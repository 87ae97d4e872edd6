"""The rule over a log that is there: one window after the other, each judged by what came before it. Pure.

A log has no old slot that is asked beside it. One that always answers stands in for it, so that whatever the rule finds
leads back: it is how often the rule would go back *at most*."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from msgspec.structs import replace

from celadon.model.baseline import Baseline, Minute
from celadon.model.names import Slot
from celadon.model.observed import Answer, Hit
from celadon.model.replay import ReplayedWindow
from celadon.model.verdict import Judgement, Verdict
from celadon.observe.baseline import MINUTES_MAX, MinuteCounter
from celadon.observe.rstar import RStarJudge
from celadon.observe.rule import Rule

_SLOT: Final = Slot.GREEN
_YES: Final = Answer(ok=True, latency_ms=1.0)
_ASKED_A_SECOND: Final = 5
_TOLD_EVERY_S: Final = 30.0

Second = tuple[float, Sequence[Hit]]


def replay(visits: Iterable[tuple[float, Hit]], rule: Rule, *, window_s: float) -> Iterator[ReplayedWindow]:
    """`visits`: requests with their time, in log order. Windows follow each other from the first request on; those
    without any are left out."""
    known = _Known()
    seconds = _cut(visits)
    began_s, window = 0.0, None
    for at_s, hits in seconds:
        if window is None or at_s >= began_s + window_s:
            if window is not None:
                yield window.close()
            began_s = at_s if window is None else began_s + window_s * ((at_s - began_s) // window_s)
            window = _Window(rule, known.tell(), began_s=began_s, window_s=window_s)
        window.take(at_s, hits)
        known.take(at_s, hits)
    if window is not None:
        yield window.close()


def _cut(visits: Iterable[tuple[float, Hit]]) -> Iterator[Second]:
    """By whole seconds. A line that stands behind a later one is of that one's second."""
    latest_s = 0.0

    def place(visit: tuple[float, Hit]) -> float:
        nonlocal latest_s
        latest_s = max(latest_s, float(int(visit[0])))
        return latest_s

    for at_s, group in groupby(visits, key=place):
        yield at_s, [hit if hit.slot is _SLOT else replace(hit, slot=_SLOT) for _, hit in group]


class _Known:
    """The minutes so far."""

    def __init__(self) -> None:
        self._counter = MinuteCounter()
        self._minutes: list[Minute] = []

    def take(self, at_s: float, hits: Sequence[Hit]) -> None:
        self._add(self._counter.take(hits, at_s=at_s))

    def tell(self) -> Baseline:
        self._add(self._counter.close())
        return Baseline(minutes=tuple(self._minutes))

    def _add(self, minute: Minute | None) -> None:
        if minute is not None:
            self._minutes.append(minute)
            oldest = minute.minute - MINUTES_MAX
            while self._minutes[0].minute <= oldest:
                del self._minutes[0]


class _Window:
    def __init__(self, rule: Rule, baseline: Baseline, *, began_s: float, window_s: float) -> None:
        self._judge = RStarJudge(rule, _SLOT)
        self._judge.take_baseline(baseline)
        self._began_s = began_s
        self._window_s = window_s
        self._asked_s = 0.0
        self._requests_count = self._failed_count = self._told_count = 0
        self._next_s = 0.0
        self._verdict: Verdict | None = None
        self._most_error = self._most_latency = 1.0

    def take(self, at_s: float, hits: Sequence[Hit]) -> None:
        visits = [hit for hit in hits if not hit.look]
        self._requests_count += len(visits)
        self._failed_count += sum(hit.failed for hit in visits)
        if self._verdict is None:
            self._judge.take_traffic(visits)
            self._ask(at_s - self._began_s + 1)

    def close(self) -> ReplayedWindow:
        if self._verdict is None:
            self._ask(self._window_s)
        assert self._verdict is not None  # noqa: S101  the contract: after a window there is always one
        verdict = self._verdict
        evidence = verdict.evidence
        return ReplayedWindow(
            began_at=self._began_s,
            requests_count=self._requests_count,
            failed_count=self._failed_count,
            units_count=evidence.units_count,
            bad_units_count=evidence.bad_units_count,
            baseline_rate=evidence.baseline_rate,
            tolerated_rate=evidence.tolerated_rate,
            error_evidence=self._most_error,
            latency_evidence=self._most_latency,
            judgement=verdict.judgement,
            rule=verdict.rule,
            reason=verdict.reason,
            goes_back=verdict.judgement in {Judgement.BREACH, Judgement.AMBIENT},
        )

    def _ask(self, elapsed_s: float) -> None:
        """The evidence is computed when it is due: it costs as much as a hundred requests."""
        for _ in range(int(_ASKED_A_SECOND * (elapsed_s - self._asked_s))):
            self._judge.take_control(_YES)
        self._asked_s = elapsed_s
        self._verdict = self._judge.judge(elapsed_s=min(elapsed_s, self._window_s), window_s=self._window_s)
        if self._verdict is None and self._failed_count == self._told_count and elapsed_s < self._next_s:
            return
        self._told_count, self._next_s = self._failed_count, elapsed_s + _TOLD_EVERY_S
        evidence = self._judge.evidence()
        self._most_error = max(self._most_error, evidence.error_evidence)
        self._most_latency = max(self._most_latency, evidence.latency_evidence)
