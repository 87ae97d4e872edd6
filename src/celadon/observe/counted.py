"""Judging what a proxy only counted: so many answers, so many 5xx, nobody's and nowhere's.

Without clients a reload button is a crowd, so counts are judged more slowly than a log is. All of ten seconds is one
observation, whatever clusters in it: the share that failed, after what one client alone may have done was taken off.
The bet is on the mean of such shares (Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting,
2024), which asks nothing of how failures hang together within those ten seconds. A reading is one unit for a bless."""

from collections.abc import Iterable
from math import ceil
from typing import Final

from celadon.model.names import Slot
from celadon.model.observed import Counted
from celadon.observe.evidence import EVIDENCE_MAX, weigh_start, weigh_until

BLOCK_S: Final = 10.0
# What one broken client may do a second, unseen.
ONE_CLIENT_PER_S: Final = 2.0
# Of all that is staked, so much of the present worth each time.
STAKES: Final = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


class CountedTest:
    """Half of the bet starts with the first block, half is spread over later ones, as in evidence.py."""

    def __init__(self, slot: Slot, p0: float) -> None:
        self._slot = slot
        self.p0 = p0
        self._first = [1.0] * len(STAKES)
        self._later = [0.0] * len(STAKES)
        self._blocks_count = 0
        self._block_s = self._block_judged = self._block_failed = 0.0
        self._bad = 0.0
        self.units_count = 0
        self.requests_count = self.failed_count = self.client_errors_count = 0

    @property
    def bad_units_count(self) -> int:
        return ceil(self._bad - 1e-9)

    def take(self, counts: Iterable[Counted]) -> bool:
        """Whether a block has ended, and it failed more than is tolerated."""
        failed = False
        for counted in counts:
            if counted.slot is self._slot:
                self._add(counted)
                failed = self._end_block() or failed
        return failed

    def value(self) -> float:
        total = sum(0.5 * first + later for first, later in zip(self._first, self._later, strict=True))
        waiting = 1 - weigh_until(max(0, self._blocks_count - 1))
        return min(total / len(STAKES) + waiting, EVIDENCE_MAX)

    def describe(self) -> str:
        judged_count = self.requests_count - self.client_errors_count
        return f"{self.failed_count} of {judged_count} counted requests failed, allowed are {self.p0:.2%}"

    def _add(self, counted: Counted) -> None:
        self.requests_count += counted.requests_count
        self.failed_count += counted.failed_count
        self.client_errors_count += counted.client_errors_count
        self._block_s += counted.over_s
        judged_count = counted.requests_count - counted.client_errors_count
        if judged_count:
            self.units_count += 1
            self._bad += counted.failed_count / judged_count
            self._block_judged += judged_count
            self._block_failed += counted.failed_count

    def _end_block(self) -> bool:
        if self._block_s < BLOCK_S:
            return False
        failed, judged = self._block_failed - ONE_CLIENT_PER_S * self._block_s, self._block_judged
        self._block_s = self._block_judged = self._block_failed = 0.0
        if not judged:
            return False
        self._bet(max(0.0, failed) / judged)
        return failed / judged > self.p0

    def _bet(self, share: float) -> None:
        index = self._blocks_count
        weight = weigh_start(index) if index else 0.0
        for place, stake in enumerate(STAKES):
            factor = 1 + stake * (share / self.p0 - 1)
            self._first[place] = min(self._first[place] * factor, EVIDENCE_MAX)
            self._later[place] = min((self._later[place] + weight) * factor, EVIDENCE_MAX)
        self._blocks_count += 1
