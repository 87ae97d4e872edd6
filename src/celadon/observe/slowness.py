"""Whether the candidate is slower: than the old slot was, by evidence, and than a person allows.

What makes both slots slow (a database, a disk) is not held against the candidate. Its requests count once the old slot,
asked after them, has answered as quickly as ever; those that came while it had not are put aside. Asked only when the
alarm stands, the old slot says nothing of the time that the alarm comes from: every window in which both were three
times slower for two minutes was rolled back, right after."""

from collections import deque
from collections.abc import Iterable, Sequence
from copy import deepcopy
from itertools import chain
from math import inf
from statistics import median
from typing import Final, NamedTuple

from celadon.observe.latency import SAMPLE_MIN, LatencyTest, Sample
from celadon.observe.rule import ALPHA_LAT, Rule
from celadon.observe.thresholds import Limit

# The old slot's answers before a request counts. In the first seconds it counts at once: slower from the switch on is
# the release's doing, and trouble that both have seldom begins just then.
_ANSWERS_AFTER: Final = 3
EARLY_S: Final = 30.0
# A request is logged when it ends, and read a moment later: of one that began before the old slot was quick again,
# nobody knows.
_READ_WITHIN_S: Final = 1.0
# Of the candidate's, beyond what waits for the old slot; one that never answers would make it any number.
_WAITING_LIMIT: Final = 20_000

_FIRST_COUNT: Final = 50
_RECENT_COUNT: Final = 5
_SLOWER: Final = 1.5
_SLACK_MS: Final = 2.0
# Five answers in a row, in a quarter of a second, were warmer than those of the window are.
_SLOWER_THAN_BEFORE: Final = 2.0
_SLACK_BEFORE_MS: Final = 5.0

_P95_SHARE: Final = 0.05
_P99_SHARE: Final = 0.01

_SLOWER_THAN: Final = "requests take longer than the old slot's did"

Slow = tuple[str, str]
"""The rule, and what was seen in words. LATENCY goes by evidence; the others are a person's."""
LATENCY: Final = "latency"


class _Pace:
    """One question's answers: the latest against the window's first, and against `before_ms`, what it took before the
    machine had anything to do."""

    def __init__(self, before_ms: float | None = None) -> None:
        self._before_ms = inf if before_ms is None else before_ms
        self._first: list[float] = []
        self._recent: deque[float] = deque(maxlen=_RECENT_COUNT)

    def add(self, latency_ms: float) -> None:
        if len(self._first) < _FIRST_COUNT:
            self._first.append(latency_ms)
        self._recent.append(latency_ms)

    def is_slow(self) -> bool:
        if len(self._recent) < _RECENT_COUNT:
            return False
        recent_ms = median(self._recent)
        slower = recent_ms > _SLOWER * median(self._first) + _SLACK_MS
        return slower or recent_ms > _SLOWER_THAN_BEFORE * self._before_ms + _SLACK_BEFORE_MS


class _OldSlot:
    """Whether it is slow now, by any question that it is asked."""

    def __init__(self, pace_ms: float | None) -> None:
        self._paces = {"": _Pace(pace_ms)}
        self.answers_count = 0
        self.is_slow = False

    def add(self, question: str, latency_ms: float) -> None:
        self.answers_count += 1
        self._paces.setdefault(question, _Pace()).add(latency_ms)
        self.is_slow = any(pace.is_slow() for pace in self._paces.values())


class _Taken(NamedTuple):
    """Requests that were read together, and how often the old slot had answered by then."""

    at_s: float
    answers_count: int
    durations_ms: Sequence[float]

    def split(self, elapsed_s: float) -> tuple[Sequence[float], Sequence[float]]:
        """Those that began by then, and those that did after."""
        longest_ms = (self.at_s - _READ_WITHIN_S - elapsed_s) * 1000
        if longest_ms == inf:
            return (), self.durations_ms
        return [ms for ms in self.durations_ms if ms >= longest_ms], [ms for ms in self.durations_ms if ms < longest_ms]


class _Seen:
    """What durations come to: against the old slot's sample, and against the limits."""

    def __init__(self, rule: Rule, sample: Sample) -> None:
        self._min_count = rule.min_requests_count
        self._test = LatencyTest(sample) if sample.count >= SAMPLE_MIN else None
        self._limits = [
            Limit(name, share=share, limit_ms=limit_ms)
            for name, share, limit_ms in (
                ("max_p95", _P95_SHARE, rule.max_p95_ms),
                ("max_p99", _P99_SHARE, rule.max_p99_ms),
            )
            if limit_ms is not None
        ]

    @property
    def count(self) -> int:
        return 0 if self._test is None else self._test.count

    @property
    def value(self) -> float:
        return 1.0 if self._test is None else self._test.value()

    def pass_time(self, elapsed_s: float) -> None:
        if self._test is not None:
            self._test.pass_time(elapsed_s)
        for limit in self._limits:
            limit.test.pass_time(elapsed_s)

    def add(self, durations_ms: Sequence[float]) -> Slow | None:
        """Stops at the first that was one too many."""
        return next(chain(self._hold_to_limits(durations_ms), self._compare(durations_ms)), None)

    def find(self) -> Slow | None:
        return self._find_broken() or self._find_evident()

    def _compare(self, durations_ms: Sequence[float]) -> Iterable[Slow]:
        if self._test is not None:
            yield from filter(None, (self._find_evident() for _ in self._test.add(durations_ms)))

    def _find_evident(self) -> Slow | None:
        evidence = self.value
        return (LATENCY, f"{_SLOWER_THAN} (evidence {evidence:.3g} : 1)") if evidence >= 1 / ALPHA_LAT else None

    def _hold_to_limits(self, durations_ms: Sequence[float]) -> Iterable[Slow]:
        if not self._limits:
            return
        lowest_ms, good_count = min(limit.limit_ms for limit in self._limits), 0
        for duration_ms in durations_ms:
            if duration_ms <= lowest_ms:
                good_count += 1
                continue
            self._count(good_count, duration_ms)
            good_count = 0
            if (broken := self._find_broken()) is not None:
                yield broken
        self._count(good_count)

    def _count(self, good_count: int, slow_ms: float | None = None) -> None:
        """So many that were fast enough for every limit, and then one that was not."""
        for limit in self._limits:
            limit.test.n += good_count
            if slow_ms is None:
                continue
            if slow_ms > limit.limit_ms:
                limit.test.add_bad()
            else:
                limit.test.n += 1

    def _find_broken(self) -> Slow | None:
        broken = (limit for limit in self._limits if limit.is_broken(self._min_count))
        return next(((limit.name, limit.describe()) for limit in broken), None)


class Slowness:
    """Fed as it comes; `pass_time` says when that was."""

    def __init__(self, rule: Rule, sample: Sample, *, pace_ms: float | None = None) -> None:
        self._own = _Seen(rule, sample)
        self._shared: _Seen | None = None
        self._put_aside_count = 0
        self._old_slot = _OldSlot(pace_ms)
        self._waiting: deque[_Taken] = deque()
        self._waiting_count = 0
        self._elapsed_s = 0.0
        self._slow_until_s = -inf

    @property
    def count(self) -> int:
        """Requests that count."""
        return self._own.count

    @property
    def evidence(self) -> float:
        return self._own.value

    def pass_time(self, elapsed_s: float) -> None:
        self._elapsed_s = elapsed_s
        for seen in (self._own, self._shared):
            if seen is not None:
                seen.pass_time(elapsed_s)

    def take_control(self, latency_ms: float, *, question: str = "") -> None:
        self._old_slot.add(question, latency_ms)

    def take(self, durations_ms: Sequence[float]) -> None:
        """Of good units of the candidate."""
        if durations_ms and self._waiting_count < _WAITING_LIMIT:
            self._waiting.append(_Taken(self._elapsed_s, self._old_slot.answers_count, durations_ms))
            self._waiting_count += len(durations_ms)

    def find_breach(self) -> Slow | None:
        """What the candidate alone is to blame for, as far as the old slot has answered by now."""
        if self._old_slot.is_slow:
            self._slow_until_s = self._elapsed_s
            self._put_aside([ms for taken in self._release(self._old_slot.answers_count) for ms in taken.durations_ms])
            return None
        own: list[float] = []
        for taken in self._release(self._find_cleared()):
            before, after = taken.split(self._slow_until_s)
            self._put_aside(before)
            own += after
        if self._shared is not None:
            self._shared.add(own)
        return self._own.add(own)

    def find_trouble(self) -> str:
        """What both slots have, in words."""
        found = (self._shared or self._own).find()
        return found[1] if found is not None else ""

    def list_warnings(self) -> tuple[str, ...]:
        if not self._put_aside_count:
            return ()
        count = self._put_aside_count
        return (f"{count} requests came while the old slot was slow too: how long they took is not judged",)

    def _find_cleared(self) -> int:
        """Requests that came when the old slot had answered so often count now."""
        answers_count = self._old_slot.answers_count
        return answers_count if self._elapsed_s < EARLY_S or not answers_count else answers_count - _ANSWERS_AFTER

    def _release(self, answers_count: int) -> Iterable[_Taken]:
        while self._waiting and self._waiting[0].answers_count <= answers_count:
            taken = self._waiting.popleft()
            self._waiting_count -= len(taken.durations_ms)
            yield taken

    def _put_aside(self, durations_ms: Sequence[float]) -> None:
        """From the first of them on there are two tales: of all requests, and of the candidate's own."""
        self._put_aside_count += len(durations_ms)
        if durations_ms and self._shared is None:
            self._shared = deepcopy(self._own)
        if self._shared is not None:
            self._shared.add(durations_ms)
