"""The thresholds that a person has set, each with its own least evidence.

"The true rate is above it", not "the counted rate is above it": looked at every second, a count crosses a limit that
the truth stays under. Each is an e-process at ALPHA_THRESHOLD, judged from `min_requests_count` units on."""

from celadon.observe.evidence import ShareTest
from celadon.observe.rule import ALPHA_THRESHOLD, Rule


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


class ErrorLimit:
    """`max_error_rate`, where one is set."""

    def __init__(self, rule: Rule) -> None:
        self._min_count = rule.min_requests_count
        limit = rule.max_error_rate
        self._limit = Limit("max_error_rate", share=limit) if limit and limit < 1 else None

    def pass_time(self, elapsed_s: float) -> None:
        if self._limit is not None:
            self._limit.test.pass_time(elapsed_s)

    def add_good(self, count: int) -> None:
        if self._limit is not None:
            self._limit.test.n += count

    def add_bad(self, starts: list[int]) -> None:
        """`starts`: of its client's bad units."""
        if self._limit is not None:
            self._limit.test.add_bad(starts)

    def find_broken(self) -> Limit | None:
        broken = self._limit is not None and self._limit.is_broken(self._min_count)
        return self._limit if broken else None
