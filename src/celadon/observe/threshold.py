"""The explicit thresholds: the candidate's process, its readiness, the share of 5xx. Numbers in, verdict out.

Three outcomes, because two would lie: with no request and no probe there is nothing to call healthy.
"""

from collections.abc import Sequence

from celadon.model.baseline import Baseline
from celadon.model.names import Slot
from celadon.model.observed import Answer, Counted, Hit, HostView, SlotView
from celadon.model.settings import ObserveSettings
from celadon.model.verdict import Evidence, Judgement, StandsOn, Verdict
from celadon.observe.conclude import Found, make_verdict
from celadon.observe.memory import Memory, find_doubt, list_warnings
from celadon.observe.process import Process
from celadon.observe.stand import Stand


class ThresholdJudge:
    """Breaches decide at once; health is only ever decided at the end of the window."""

    def __init__(self, settings: ObserveSettings, candidate: Slot) -> None:
        self._settings = settings
        self._candidate = candidate
        self._requests_count = self._failed_count = 0
        self._probes_count = self._probes_failed_count = self._failed_in_a_row_count = 0
        self._process, self._memory, self._stand = Process(), Memory(), Stand()
        self._percent = 100
        self._elapsed_s = self._window_s = 0.0
        self._last_no = ""

    def take_baseline(self, baseline: Baseline | None, *, is_armed: bool = True, pace_ms: float | None = None) -> None:
        """Thresholds know no history."""

    def take_control(self, answer: Answer, *, journey: str = "") -> None:
        """Thresholds ask the candidate only."""

    def take_journey(self, answer: Answer, *, name: str = "") -> None:  # noqa: ARG002  all are probes
        self.take_probe(answer)

    def take_share(self, percent: int) -> None:
        self._percent = percent

    def take_traffic(self, hits: Sequence[Hit]) -> None:
        for hit in hits:
            if hit.slot is self._candidate and not hit.look:
                self._requests_count += 1
                self._failed_count += hit.failed

    def take_counts(self, counts: Sequence[Counted]) -> None:
        for counted in counts:
            if counted.slot is self._candidate:
                self._requests_count += counted.requests_count
                self._failed_count += counted.failed_count

    def take_stand(self, stands_on: StandsOn, *, reason: str) -> None:
        self._stand.take(stands_on, reason=reason)

    def take_probe(self, answer: Answer) -> None:
        self._probes_count += 1
        if answer.ok:
            self._failed_in_a_row_count = 0
            return
        self._probes_failed_count += 1
        self._failed_in_a_row_count += 1
        self._last_no = answer.reason

    def take_process(self, view: SlotView) -> None:
        self._process.take(view)
        self._memory.take(view)

    def take_host(self, view: HostView) -> None:
        self._process.take_host(view)
        self._memory.take_host(view)

    def judge(self, *, elapsed_s: float, window_s: float) -> Verdict | None:
        self._elapsed_s, self._window_s = elapsed_s, window_s
        self._memory.pass_time(elapsed_s)
        breach = self._find_breach()
        if breach is None and elapsed_s < window_s:
            return None
        evidence = self.evidence()
        found = (Judgement.BREACH, *breach) if breach is not None else self._conclude(evidence)
        return make_verdict(found, evidence)

    def _find_breach(self) -> tuple[str, str] | None:
        settings = self._settings
        fault = self._process.find_fault()
        if fault is not None:
            return fault
        if self._failed_in_a_row_count >= settings.readiness_failures_count:
            return "readiness", f"{self._failed_in_a_row_count} probes in a row failed, the last: {self._last_no}"
        if self._requests_count < settings.min_requests_count or self._requests_count == 0:
            return None
        rate = self._failed_count / self._requests_count
        if settings.max_error_rate is not None and rate > settings.max_error_rate:
            counted = f"{self._failed_count} of {self._requests_count} requests were answered with 5xx"
            return "max_error_rate", f"{counted} ({rate:.1%}), allowed are {settings.max_error_rate:.1%}"
        return None

    def _conclude(self, evidence: Evidence) -> Found:
        """Users are the evidence; where they are too few, probes of the candidate through the whole window are."""
        found = self._weigh()
        doubt = find_doubt(evidence.memory, window_s=self._window_s)
        return (Judgement.UNDECIDED, "memory", doubt) if doubt and found[0] is Judgement.HEALTHY else found

    def _weigh(self) -> Found:
        if self._stand.is_blind:
            passed_count = self._probes_count - self._probes_failed_count
            reason = f"{passed_count} of {self._probes_count} probes passed, but visitors were not seen to the end"
            return Judgement.UNDECIDED, "evidence", reason
        enough = self._settings.min_requests_count
        if self._requests_count >= max(enough, 1):
            reason = f"{self._failed_count} of {self._requests_count} requests failed"
            return Judgement.HEALTHY, "max_error_rate", reason
        if self._probes_count and not self._probes_failed_count and not self._failed_count:
            reason = f"{self._probes_count} probes passed; only {self._requests_count} requests came"
            return Judgement.HEALTHY, "readiness", reason
        reason = (
            f"{self._requests_count} requests ({self._failed_count} failed) and {self._probes_count} probes "
            f"({self._probes_failed_count} failed) are too little to decide on; {enough} requests are asked for"
        )
        return Judgement.UNDECIDED, "evidence", reason

    def needs_control(self) -> bool:
        return False

    def evidence(self) -> Evidence:
        memory = self._memory.weigh(elapsed_s=self._elapsed_s)
        return Evidence(
            requests_count=self._requests_count,
            failed_count=self._failed_count,
            probes_count=self._probes_count,
            probes_failed_count=self._probes_failed_count,
            restarts_count=self._process.restarts_count,
            percent=self._percent,
            elapsed_s=self._elapsed_s,
            window_s=self._window_s,
            stands_on=self._stand.on,
            memory=memory,
            warnings=(*self._stand.list_warnings(), *list_warnings(memory)),
        )
