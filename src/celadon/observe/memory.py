"""What the candidate does to the machine's memory: where its own is heading, and whether the machine swaps.

Warnings, both: they never lead back, and never make a release healthy. One of them can hold a bless back: memory
that grows so that it would be used up within the length of the window. All of it stands in the verdict's reason."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from celadon.model.observed import HostView, SlotView
from celadon.model.verdict import MemoryEvidence

# Less is no slope, whatever it looks like.
SPAN_MIN_S: Final = 60.0
# Growth over all samples below these is noise.
_GROWTH_MIN_BYTES: Final = 8 << 20
_GROWTH_MIN_SHARE: Final = 0.05
_SAMPLES_LIMIT: Final = 64
_SAMPLE_EVERY_S: Final = 1.0

# Of the machine, over the last minute.
RECENT_S: Final = 60.0
_RECENT_MIN_S: Final = 10.0
_STALLED_SHARE: Final = 0.1
_SWAPPED_IN_BYTES_PER_S: Final = 1 << 20

_MIB: Final = 1 << 20

Sample = tuple[float, int]


def find_growth(samples: Sequence[Sample]) -> float:
    """Bytes a second, 0 where it does not grow. Theil and Sen's slope, which a step or a spike does not move; the
    smaller of that of all samples and that of the later half, since what a fresh process fills levels off. What swings
    more than it has grown, as a collected heap does, does not grow."""
    growth = min(_find_slope(samples), _find_slope(samples[len(samples) // 2 :]))
    if growth <= 0:
        return 0.0
    grown = growth * (samples[-1][0] - samples[0][0])
    rest = sorted(rss_bytes - growth * at_s for at_s, rss_bytes in samples)
    swing = rest[len(rest) * 9 // 10] - rest[len(rest) // 10]
    return growth if grown >= max(_GROWTH_MIN_BYTES, _GROWTH_MIN_SHARE * samples[-1][1], swing) else 0.0


def _find_slope(samples: Sequence[Sample]) -> float:
    """The lower of the two in the middle, where there are two; the standard one imports decimal and fractions."""
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(samples)
        for later in samples[index + 1 :]
    )
    return slopes[(len(slopes) - 1) // 2] if slopes else 0.0


class Memory:
    """Fed as it comes; `pass_time` says when that was."""

    def __init__(self) -> None:
        self._slot: SlotView | None = None
        self._host: HostView | None = None
        self._first: HostView | None = None
        self._samples: list[Sample] = []
        self._every_s = _SAMPLE_EVERY_S
        self._recent: deque[tuple[float, HostView]] = deque()

    def take(self, view: SlotView) -> None:
        self._slot = view

    def take_host(self, view: HostView) -> None:
        self._host = view
        self._first = self._first or view

    def pass_time(self, elapsed_s: float) -> None:
        if self._slot is not None and self._slot.rss_bytes and self._is_due(elapsed_s):
            self._add(elapsed_s, self._slot.rss_bytes)
        if self._host is not None and (not self._recent or elapsed_s - self._recent[-1][0] >= _SAMPLE_EVERY_S):
            self._recent.append((elapsed_s, self._host))
            while self._recent[-1][0] - self._recent[0][0] > RECENT_S:
                self._recent.popleft()

    def weigh(self, *, elapsed_s: float) -> MemoryEvidence:
        growth = find_growth(self._samples) if elapsed_s >= SPAN_MIN_S else 0.0
        swapped_in, stalled_share = self._find_pressure()
        host, first, slot = self._host or HostView(), self._first or HostView(), self._slot
        return MemoryEvidence(
            rss_bytes=slot.rss_bytes if slot is not None else 0,
            limit_bytes=slot.memory_limit_bytes if slot is not None else None,
            available_bytes=host.available_bytes,
            growth_bytes_per_s=growth,
            full_in_s=self._find_end(growth),
            swapped_in_bytes_per_s=swapped_in,
            stalled_share=stalled_share,
            killed_count=max(0, host.killed_count - first.killed_count),
            load=host.load,
        )

    def _is_due(self, elapsed_s: float) -> bool:
        return not self._samples or elapsed_s - self._samples[-1][0] >= self._every_s

    def _add(self, elapsed_s: float, rss_bytes: int) -> None:
        """Twice as far apart when there are many: an hour takes no more than a minute."""
        self._samples.append((elapsed_s, rss_bytes))
        if len(self._samples) > _SAMPLES_LIMIT:
            del self._samples[1::2]
            self._every_s *= 2

    def _find_end(self, growth: float) -> float | None:
        """When it reaches its limit or has used up the machine, whichever is sooner."""
        if not growth or self._slot is None:
            return None
        limit_bytes, available_bytes = self._slot.memory_limit_bytes, (self._host or HostView()).available_bytes
        left = [available_bytes] if available_bytes is not None else []
        left += [max(0, limit_bytes - self._slot.rss_bytes)] if limit_bytes is not None else []
        return min(left) / growth if left else None

    def _find_pressure(self) -> tuple[float, float]:
        """Bytes read back from swap a second, and the share of time in which somebody waited for memory."""
        if not self._recent:
            return 0.0, 0.0
        (began_s, before), (ended_s, after) = self._recent[0], self._recent[-1]
        span_s = ended_s - began_s
        if span_s < _RECENT_MIN_S:
            return 0.0, 0.0
        stalled_s = (after.stalled_s or 0.0) - (before.stalled_s or 0.0)
        return (after.swapped_in_bytes - before.swapped_in_bytes) / span_s, stalled_s / span_s


def list_warnings(memory: MemoryEvidence) -> tuple[str, ...]:
    """In words. Empty where there is nothing to say."""
    found = [describe_growth(memory)] if memory.growth_bytes_per_s else []
    if memory.swapped_in_bytes_per_s >= _SWAPPED_IN_BYTES_PER_S:
        rate = memory.swapped_in_bytes_per_s / _MIB
        found.append(f"the machine swaps: {rate:.1f} MiB a second were read back in the last minute")
    if memory.stalled_share >= _STALLED_SHARE:
        found.append(f"memory was waited for in {memory.stalled_share:.0%} of the last minute")
    if memory.killed_count:
        found.append(f"the kernel killed {memory.killed_count} of the machine's processes for want of memory")
    return tuple(found)


def describe_growth(memory: MemoryEvidence) -> str:
    grows = f"the candidate's memory grows {memory.growth_bytes_per_s * 60 / _MIB:.1f} MiB a minute"
    if memory.full_in_s is None:
        return grows
    return f"{grows} and would reach {_name_limit(memory)} in {_describe_span(memory.full_in_s)}"


def find_doubt(memory: MemoryEvidence, *, window_s: float) -> str:
    """Why this is not to be blessed; empty when it may be."""
    soon = memory.full_in_s is not None and memory.full_in_s <= window_s
    return describe_growth(memory) if soon else ""


def _name_limit(memory: MemoryEvidence) -> str:
    limit_bytes, available_bytes = memory.limit_bytes, memory.available_bytes
    if limit_bytes is None or (available_bytes is not None and available_bytes < limit_bytes - memory.rss_bytes):
        return "the end of what the machine has"
    return f"its limit of {limit_bytes / _MIB:.0f} MiB"


def _describe_span(span_s: float) -> str:
    if span_s < 120:
        return f"{span_s:.0f} s"
    return f"{span_s / 60:.0f} min" if span_s < 7200 else f"{span_s / 3600:.0f} h"
