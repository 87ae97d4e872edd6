"""What people are shown of an open window: now and then a sample of both slots. Judges nothing."""

from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import Final

from celadon.deploy.run import Run
from celadon.events import WindowSampled
from celadon.model.names import Slot
from celadon.model.observed import Answer, Counted, Hit, Served
from celadon.model.verdict import Evidence

SAMPLE_EVERY_S: Final = 1.0

# Each sample is a durable write, and an hour's window would be 3,600 of them. Later ones come each SAMPLE_LATER_S, or
# as soon as there is news: a follower misses no rise of the evidence.
EAGER_FOR_S: Final = 60.0
SAMPLE_LATER_S: Final = 5.0
_NEWS: Final = 2.0

_DURATIONS_LIMIT: Final = 1_000
_DIGITS: Final = 2


class Span:
    """One slot since the last sample, in bounded memory."""

    def __init__(self) -> None:
        self._requests_count = self._failed_count = 0
        self._durations_ms: deque[float] = deque(maxlen=_DURATIONS_LIMIT)
        self._probes_ms: deque[float] = deque(maxlen=_DURATIONS_LIMIT)

    def add_hit(self, hit: Hit) -> None:
        self._requests_count += 1
        if hit.failed:
            self._failed_count += 1
        else:
            self._durations_ms.append(hit.duration_ms)

    def add_counted(self, counted: Counted) -> None:
        self._requests_count += counted.requests_count
        self._failed_count += counted.failed_count

    def add_answer(self, answer: Answer) -> None:
        self._probes_ms.append(answer.latency_ms)

    def tell(self) -> Served:
        return Served(
            requests_count=self._requests_count,
            failed_count=self._failed_count,
            p50_ms=find_percentile(self._durations_ms, 0.5),
            p95_ms=find_percentile(self._durations_ms, 0.95),
            probe_p95_ms=find_percentile(self._probes_ms, 0.95),
        )


def find_percentile(durations_ms: Sequence[float], share: float) -> float | None:
    """The shortest that at least `share` of them do not exceed."""
    if not durations_ms:
        return None
    return round(sorted(durations_ms)[ceil(share * len(durations_ms)) - 1], _DIGITS)


class Sampler:
    def __init__(self, run: Run, *, began_s: float) -> None:
        self.began_s = began_s
        self._run = run
        self._sampled_s = 0.0
        self._shown = 1.0
        self._spans = {slot: Span() for slot in Slot}
        self._old_failed_count = 0

    def take_traffic(self, hits: Sequence[Hit]) -> None:
        for hit in hits:
            if hit.slot is not None and not hit.look:
                self._spans[hit.slot].add_hit(hit)

    def take_counts(self, counts: Sequence[Counted]) -> None:
        for counted in counts:
            self._spans[counted.slot].add_counted(counted)

    def take_answer(self, slot: Slot, answer: Answer) -> None:
        self._spans[slot].add_answer(answer)

    def tell(self) -> tuple[Served, Served]:
        """Candidate and old slot since the last sample."""
        candidate = self._run.plan.candidate
        return self._spans[candidate].tell(), self._spans[candidate.other].tell()

    def is_due(self, *, elapsed_s: float) -> bool:
        """Whether to ask for the evidence: `sample` may still find that there is nothing new."""
        return elapsed_s - self._sampled_s >= SAMPLE_EVERY_S

    def sample(self, evidence: Evidence, *, elapsed_s: float, window_s: float) -> None:
        span_s, highest = elapsed_s - self._sampled_s, max(evidence.error_evidence, evidence.latency_evidence)
        if elapsed_s > EAGER_FOR_S and span_s < SAMPLE_LATER_S and highest < _NEWS * self._shown:
            return
        new, old = self.tell()
        self._old_failed_count += old.failed_count
        self._run.note(
            WindowSampled(
                elapsed_s=elapsed_s,
                window_s=window_s,
                candidate_requests_per_s=new.requests_count / span_s,
                old_requests_per_s=old.requests_count / span_s,
                old_failed_count=self._old_failed_count,
                candidate=new,
                old=old,
                evidence=evidence,
            )
        )
        self._sampled_s, self._shown = elapsed_s, max(highest, 1.0)
        self._spans = {slot: Span() for slot in Slot}
