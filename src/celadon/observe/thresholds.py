"""The thresholds that a person has set, each with its own least evidence.

"The true rate is above it", not "the counted rate is above it": looked at every second, a count crosses a limit that
the truth stays under. Each is an e-process at ALPHA_THRESHOLD, judged from `min_requests_count` units on."""

from collections.abc import Iterable, Iterator
from typing import Final

from celadon.observe.evidence import ShareTest
from celadon.observe.rule import ALPHA_THRESHOLD, Rule

_P95_SHARE: Final = 0.05
_P99_SHARE: Final = 0.01


class Limit:
    """One threshold: at most `share` of the units may be on the wrong side."""

    def __init__(self, name: str, *, share: float, limit_ms: float = 0.0) -> None:
        self.name = name
        self.limit_ms = limit_ms
        self.test = ShareTest(share)

    def is_broken(self, min_count: int) -> bool:
        return self.test.n >= max(min_count, 1) and self.test.value() >= 1 / ALPHA_THRESHOLD

    def describe(self) -> str:
        counted = f"{self.test.k} of {self.test.n} units"
        if self.limit_ms:
            return f"{counted} took longer than {self.limit_ms:g} ms, allowed are {self.test.p0:.0%}"
        return f"{counted} failed ({self.test.k / self.test.n:.1%}), allowed are {self.test.p0:.1%}"


class Thresholds:
    def __init__(self, rule: Rule) -> None:
        self._min_count = rule.min_requests_count
        limit = rule.max_error_rate
        self.error = Limit("max_error_rate", share=limit) if limit and limit < 1 else None
        self._slow = [
            Limit(name, share=share, limit_ms=limit_ms)
            for name, share, limit_ms in (
                ("max_p95", _P95_SHARE, rule.max_p95_ms),
                ("max_p99", _P99_SHARE, rule.max_p99_ms),
            )
            if limit_ms is not None
        ]

    def pass_time(self, elapsed_s: float) -> None:
        for limit in self._limits():
            limit.test.pass_time(elapsed_s)

    def add_good(self, count: int) -> None:
        if self.error is not None:
            self.error.test.n += count

    def add_bad(self, starts: list[int]) -> None:
        """`starts`: of its client's bad units."""
        if self.error is not None:
            self.error.test.add_bad(starts)

    def add_latency(self, durations_ms: Iterable[float]) -> Iterator[None]:
        """Yields after each that was too slow for any."""
        if not self._slow:
            return
        lowest_ms, good_count = min(limit.limit_ms for limit in self._slow), 0
        for duration_ms in durations_ms:
            if duration_ms <= lowest_ms:
                good_count += 1
                continue
            self._add_durations(good_count, duration_ms)
            good_count = 0
            yield
        self._add_durations(good_count)

    def _add_durations(self, good_count: int, slow_ms: float | None = None) -> None:
        """So many that were fast enough for every limit, and then one that was not."""
        for limit in self._slow:
            limit.test.n += good_count
            if slow_ms is None:
                continue
            if slow_ms > limit.limit_ms:
                limit.test.add_bad()
            else:
                limit.test.n += 1

    def find_broken_error(self) -> Limit | None:
        broken = self.error is not None and self.error.is_broken(self._min_count)
        return self.error if broken else None

    def find_broken_latency(self) -> Limit | None:
        return next((limit for limit in self._slow if limit.is_broken(self._min_count)), None)

    def _limits(self) -> Iterator[Limit]:
        if self.error is not None:
            yield self.error
        yield from self._slow
