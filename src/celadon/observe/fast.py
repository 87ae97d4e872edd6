"""What needs no statistics: a process that is gone, a door that is shut, and ten different failures in a row."""

from collections import deque
from typing import Final

from celadon.model.observed import Answer
from celadon.observe.process import Process

UNITS_IN_A_ROW: Final = 10
CONTROL_IN_A_ROW: Final = 3
REFUSALS_IN_A_ROW: Final = 2


class Fast:
    """Whole sentences of what is wrong, or nothing. At most BAD_UNITS_A_CLIENT of ten bad units are one client's."""

    def __init__(self, readiness_failures_count: int) -> None:
        self._readiness_limit = readiness_failures_count
        self._failures_in_a_row_count = self._refusals_in_a_row_count = 0
        self._units_in_a_row_count = 0
        self._control: deque[bool] = deque(maxlen=CONTROL_IN_A_ROW)
        self._last_no = ""
        self.process = Process()
        self.probes_count = self.probes_failed_count = 0
        self.probe_is_ok = True

    def take_unit(self, *, bad: bool) -> None:
        self._units_in_a_row_count = self._units_in_a_row_count + 1 if bad else 0

    def take_control(self, answer: Answer) -> None:
        self._control.append(answer.ok)
        if not answer.ok:
            self._units_in_a_row_count = 0

    def take_probe(self, answer: Answer) -> None:
        self.probes_count += 1
        self.probes_failed_count += not answer.ok
        self.probe_is_ok = answer.ok
        if answer.ok:
            self._failures_in_a_row_count = self._refusals_in_a_row_count = 0
            return
        self._failures_in_a_row_count += 1
        self._refusals_in_a_row_count = self._refusals_in_a_row_count + 1 if answer.refused else 0
        self._last_no = answer.reason

    def find_fault(self) -> tuple[str, str] | None:
        """Rule and reason."""
        fault = self.process.find_fault()
        if fault is not None:
            return fault
        if self._refusals_in_a_row_count >= REFUSALS_IN_A_ROW:
            return "refused", f"the candidate refuses connections: {self._last_no}"
        if self._failures_in_a_row_count >= self._readiness_limit and not self._old_slot_fails:
            return "readiness", f"{self._failures_in_a_row_count} probes in a row failed, the last: {self._last_no}"
        return None

    def find_outage(self) -> tuple[str, str] | None:
        """To be asked at a bad unit: the row that trouble of both slots has left behind is nothing against the
        candidate, once the old slot passes again."""
        if self._units_in_a_row_count >= UNITS_IN_A_ROW and self._old_slot_passes:
            return "outage", f"the last {self._units_in_a_row_count} units all failed while the old slot answers"
        return None

    @property
    def _old_slot_passes(self) -> bool:
        return len(self._control) == CONTROL_IN_A_ROW and all(self._control)

    @property
    def _old_slot_fails(self) -> bool:
        """The old slot was asked, and not one of its last answers was a yes."""
        return len(self._control) == CONTROL_IN_A_ROW and not any(self._control)
