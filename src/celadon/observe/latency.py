"""Slower than before? Against the old slot's sample of the same proxy field, in log buckets.

Two bets, half the weight each: on ranks (a request picked now is slower than one picked before: the effect size of the
Mann–Whitney test), and on the share of requests above the old slot's 95th and 99th percentile.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from math import exp, log, log1p, sqrt
from operator import mul
from typing import Final

from celadon.observe.evidence import EVIDENCE_MAX, ShareTest, count_starts, weigh_start, weigh_until
from celadon.observe.rule import RESTART_EVERY_S

# A bucket is 5 % wide: 0.1 ms to 1,000 s are 331.
_LOWEST_MS: Final = 0.1
_GROWTH: Final = log(1.05)
_BUCKETS_COUNT: Final = 332
_EDGES_MS: Final = tuple(_LOWEST_MS * exp(_GROWTH * bucket) for bucket in range(_BUCKETS_COUNT - 1))

SKIPPED_COUNT: Final = 200
SAMPLE_MIN: Final = 200

# OBSERVE.md's 0.58 is what a log-normal of sigma 0.6 gives for ×1.18; ×1.2 must never fire, however long one looks.
EFFECT_TOLERATED: Final = 0.60
# The sample's own error: its mean rank has a standard error of 1/sqrt(12 n); 3.1 of them are one in a thousand.
_Z_SAMPLE: Final = 3.1
_FRACTIONS: Final = (0.25, 0.5, 0.75, 0.95)

# Slow shares: twice what the sample may really have had above its own percentile.
_SLOW_TOLERATED: Final = 2.0
_PERCENTILES: Final = (0.95, 0.99)

_RESTARTS_APART: Final = 4
_LATE_STARTS_LIMIT: Final = 6


def find_bucket(duration_ms: float) -> int:
    """Upper edges are in: bucket b ends at 0.1 ms × 1.05^b."""
    return bisect_left(_EDGES_MS, duration_ms)


def find_percentile_ms(latency: Mapping[int, int], *, share: float) -> float | None:
    """What so large a share of the requests took at most, within 5 %. None below SAMPLE_MIN requests."""
    sample = Sample(latency)
    return _LOWEST_MS * exp(_GROWTH * sample.percentile_bucket(share)) if sample.count >= SAMPLE_MIN else None


class Sample:
    """The old slot's latencies. Below SAMPLE_MIN there is nothing to compare with."""

    def __init__(self, latency: Mapping[int, int]) -> None:
        counts = [latency.get(bucket, 0) for bucket in range(_BUCKETS_COUNT)]
        self.count = sum(counts)
        self.cumulated = list(accumulate(counts))

    def rank(self, bucket: int) -> float:
        """The share of the sample that was faster, of its own bucket half."""
        below = self.cumulated[bucket - 1] if bucket else 0
        return (below + self.cumulated[bucket]) / 2 / self.count

    def percentile_bucket(self, share: float) -> int:
        return bisect_left(self.cumulated, share * self.count)

    def share_above(self, bucket: int) -> float:
        return 1 - self.cumulated[bucket] / self.count


class RankTest:
    """Betting on the mean of a bounded variable (Waudby-Smith, Ramdas: Estimating means of bounded random variables by
    betting, 2023): wealth × (1 + λ (rank − m)), a mixture over fixed λ; m is the tolerated effect size."""

    def __init__(self, sample: Sample) -> None:
        m = min(EFFECT_TOLERATED + _Z_SAMPLE / sqrt(12 * sample.count), 0.9)
        self.tolerated = m
        ranks = [sample.rank(bucket) for bucket in range(_BUCKETS_COUNT)]
        self._steps = [[log1p(part / m * (rank - m)) for rank in ranks] for part in _FRACTIONS]
        self._starts = [(0, [0.0] * len(_FRACTIONS))]

    def start(self, index: int, counts: Sequence[int]) -> None:
        self._starts.append((index, self._sum(counts)))
        if len(self._starts) > _LATE_STARTS_LIMIT:
            del self._starts[1]

    def value(self, counts: Sequence[int]) -> float:
        sums = self._sum(counts)
        total = sum(weigh_start(index) * self._value_since(before, sums) for index, before in self._starts)
        return min(total + 1 - weigh_until(self._starts[-1][0]), EVIDENCE_MAX)

    def _sum(self, counts: Sequence[int]) -> list[float]:
        """Log wealth of each bet."""
        return [sum(map(mul, counts, steps)) for steps in self._steps]

    @staticmethod
    def _value_since(before: Sequence[float], sums: Sequence[float]) -> float:
        return sum(exp(min(now - then, 100.0)) for now, then in zip(sums, before, strict=True)) / len(sums)


class SlowShare:
    """Requests slower than the old slot's percentile, against twice the share that the sample may have had there."""

    def __init__(self, sample: Sample, share: float) -> None:
        self.bucket = sample.percentile_bucket(share)
        above = sample.share_above(self.bucket)
        error = _Z_SAMPLE * sqrt(max(above, 1 / sample.count) * (1 - above) / sample.count)
        self.test = ShareTest(min(_SLOW_TOLERATED * (above + error), 0.5))

    def count(self, counts: Sequence[int]) -> None:
        self.test.k = sum(counts[self.bucket + 1 :])
        self.test.n = sum(counts)


class LatencyTest:
    """E_lat over good units, the first SKIPPED_COUNT requests left out (caches are cold). All that a request changes
    is a count; the value is computed when it is due."""

    def __init__(self, sample: Sample) -> None:
        self._rank = RankTest(sample)
        self._slow = [SlowShare(sample, share) for share in _PERCENTILES]
        self._counts = [0] * _BUCKETS_COUNT
        self._next_s = RESTART_EVERY_S
        self._due_count = 1
        self.count = 0

    def pass_time(self, elapsed_s: float) -> None:
        if elapsed_s < self._next_s:
            return
        index = count_starts(elapsed_s)
        self._next_s = (index + _RESTARTS_APART) * RESTART_EVERY_S
        self._rank.start(index, self._counts)
        for slow in self._slow:
            slow.count(self._counts)
            slow.test.start(index)

    def add(self, durations_ms: Sequence[float]) -> Iterator[None]:
        """Yields when it is time to ask for the value: after each of the first requests, later after each 16th, then
        after each 3 % more."""
        counts, begin = self._counts, 0
        while begin < len(durations_ms):
            part = durations_ms[begin : begin + self._due_count - self.count]
            for duration_ms in part:
                counts[bisect_left(_EDGES_MS, duration_ms)] += 1
            begin += len(part)
            self.count += len(part)
            if self.count == self._due_count:
                self._due_count += 1 if self.count < 64 else max(16, self.count >> 5)
                yield

    def value(self) -> float:
        for slow in self._slow:
            slow.count(self._counts)
        share = sum(slow.test.value() for slow in self._slow) / len(self._slow)
        return min((self._rank.value(self._counts) + share) / 2, EVIDENCE_MAX)
