"""The explicit thresholds: the candidate's process, its readiness, the share of 5xx. Numbers in, verdict out.

Three outcomes, because two would lie: with no request and no probe there is nothing to call healthy.
"""

from collections.abc import Sequence

from celadon.model.baseline import Baseline
from celadon.model.names import Slot
from celadon.model.observed import Answer, Hit, SlotStatus, SlotView
from celadon.model.settings import ObserveSettings
from celadon.model.verdict import Evidence, Judgement, Verdict


class ThresholdJudge:
    """Breaches decide at once; health is only ever decided at the end of the window."""

    def __init__(self, settings: ObserveSettings, candidate: Slot) -> None:
        self._settings = settings
        self._candidate = candidate
        self._requests_count = self._failed_count = 0
        self._probes_count = self._probes_failed_count = self._failed_in_a_row_count = 0
        self._restarts_count = 0
        self._percent = 100
        self._elapsed_s = self._window_s = 0.0
        self._last_no = ""
        self._process_fault = ""

    def take_baseline(self, baseline: Baseline, *, is_armed: bool = True) -> None:
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

    def take_probe(self, answer: Answer) -> None:
        self._probes_count += 1
        if answer.ok:
            self._failed_in_a_row_count = 0
            return
        self._probes_failed_count += 1
        self._failed_in_a_row_count += 1
        self._last_no = answer.reason

    def take_process(self, view: SlotView) -> None:
        self._restarts_count = view.restarts_count
        if view.status is not SlotStatus.RUNNING:
            code = "" if view.exit_code is None else f" with code {view.exit_code}"
            self._process_fault = f"the candidate's process ended{code} {view.exit_reason}".rstrip()
        elif view.restarts_count:
            self._process_fault = f"the candidate was restarted {view.restarts_count} times"

    def judge(self, *, elapsed_s: float, window_s: float) -> Verdict | None:
        self._elapsed_s, self._window_s = elapsed_s, window_s
        evidence = self.evidence()
        breach = self._find_breach()
        if breach is not None:
            rule, reason = breach
            return Verdict(judgement=Judgement.BREACH, rule=rule, reason=reason, evidence=evidence)
        if elapsed_s < window_s:
            return None
        return self._conclude(evidence)

    def _find_breach(self) -> tuple[str, str] | None:
        settings = self._settings
        if self._process_fault:
            return "process", self._process_fault
        if self._failed_in_a_row_count >= settings.readiness_failures_count:
            return "readiness", f"{self._failed_in_a_row_count} probes in a row failed, the last: {self._last_no}"
        if self._requests_count < settings.min_requests_count or self._requests_count == 0:
            return None
        rate = self._failed_count / self._requests_count
        if settings.max_error_rate is not None and rate > settings.max_error_rate:
            counted = f"{self._failed_count} of {self._requests_count} requests were answered with 5xx"
            return "max_error_rate", f"{counted} ({rate:.1%}), allowed are {settings.max_error_rate:.1%}"
        return None

    def _conclude(self, evidence: Evidence) -> Verdict:
        """Users are the evidence; where they are too few, probes of the candidate through the whole window are."""
        enough = self._settings.min_requests_count
        if self._requests_count >= max(enough, 1):
            reason = f"{self._failed_count} of {self._requests_count} requests failed"
            return Verdict(judgement=Judgement.HEALTHY, rule="max_error_rate", reason=reason, evidence=evidence)
        if self._probes_count and not self._probes_failed_count and not self._failed_count:
            reason = f"{self._probes_count} probes passed; only {self._requests_count} requests came"
            return Verdict(judgement=Judgement.HEALTHY, rule="readiness", reason=reason, evidence=evidence)
        reason = (
            f"{self._requests_count} requests ({self._failed_count} failed) and {self._probes_count} probes "
            f"({self._probes_failed_count} failed) are too little to decide on; {enough} requests are asked for"
        )
        return Verdict(judgement=Judgement.UNDECIDED, rule="evidence", reason=reason, evidence=evidence)

    def needs_control(self) -> bool:
        return False

    def evidence(self) -> Evidence:
        return Evidence(
            requests_count=self._requests_count,
            failed_count=self._failed_count,
            probes_count=self._probes_count,
            probes_failed_count=self._probes_failed_count,
            restarts_count=self._restarts_count,
            percent=self._percent,
            elapsed_s=self._elapsed_s,
            window_s=self._window_s,
        )
