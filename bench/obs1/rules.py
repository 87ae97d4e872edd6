"""What others do, on the same traffic: each counts requests and fails a release by a share of 5xx.

Each gets a second's counts and says whether it rolls back now. Flagger and Argo Rollouts as their documentation's own
examples set them: a check a minute, at least 99 % good.
"""

from collections import deque

_LIMIT = 0.01
_MINUTE_S = 60


class Naive:
    """More than 1 % of the last minute's requests failed, looked at every second."""

    name = "naive"

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_MINUTE_S)

    def rolls_back(self, second: int, requests_count: int, failed_count: int) -> bool:
        self._seconds.append((requests_count, failed_count))
        if second < _MINUTE_S:
            return False
        asked = sum(count for count, _ in self._seconds)
        return sum(count for _, count in self._seconds) > _LIMIT * asked


class _Checks:
    """A check a minute; one without any request has no value, and counts as failed."""

    name = ""
    failures_limit = 0

    def __init__(self) -> None:
        self._asked = self._failed = self._failures_count = 0

    def rolls_back(self, second: int, requests_count: int, failed_count: int) -> bool:
        self._asked += requests_count
        self._failed += failed_count
        if second % _MINUTE_S:
            return False
        self._failures_count += not self._asked or self._failed > _LIMIT * self._asked
        self._asked = self._failed = 0
        return self._failures_count >= self.failures_limit


class Flagger(_Checks):
    """`threshold: 5`: so many failed checks roll back."""

    name = "Flagger-like"
    failures_limit = 5


class Argo(_Checks):
    """`failureLimit: 3`: more than three failed measurements roll back."""

    name = "Argo-like"
    failures_limit = 4


Rival = Naive | Flagger | Argo


def make_rivals() -> list[Rival]:
    return [Naive(), Flagger(), Argo()]
