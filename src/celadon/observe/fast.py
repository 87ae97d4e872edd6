"""What needs no statistics: a process that is gone, a door that is shut, and ten different failures in a row."""

from collections import deque
from math import inf
from typing import Final

from celadon.model.observed import Answer
from celadon.observe.control import SPAN_SHORT_S
from celadon.observe.process import Process

UNITS_IN_A_ROW: Final = 10
CONTROL_IN_A_ROW: Final = 3
REFUSALS_IN_A_ROW: Final = 2

# Five seconds of answers of the old slot, asked as often as it is by default.
CONTROL_REMEMBERED: Final = 25


class Row:
    """Failures in a row, and how often the old slot, asked since the first of them, passed. What it was asked before
    says nothing: on a busy site many requests fail between two of its answers. Nor does what it was asked in a pause of
    `pause_s`: that one may have been good for both."""

    def __init__(self, *, pause_s: float = inf) -> None:
        self.count = self.passes_count = 0
        self._pause_s = pause_s
        self._began_s = self._last_s = 0.0

    def add(self, now_s: float, *, bad: bool) -> None:
        self.count = self.count + 1 if bad else 0
        if self.count <= 1 or now_s - self._last_s > self._pause_s:
            self.passes_count = 0
            self._began_s = now_s
        self._last_s = now_s

    def add_control(self, asked_s: float, *, bad: bool) -> None:
        if bad:
            self.passes_count = 0
        elif asked_s >= self._began_s:
            self.passes_count += 1


class Fast:
    """Whole sentences of what is wrong, or nothing. At most BAD_UNITS_A_CLIENT of ten bad units are one client's."""

    def __init__(self, readiness_failures_count: int) -> None:
        self._readiness_limit = readiness_failures_count
        self._units, self._failures = Row(pause_s=SPAN_SHORT_S), Row()
        self._refusals_in_a_row_count = 0
        self._control: deque[bool] = deque(maxlen=CONTROL_REMEMBERED)
        self._last_no = ""
        self.process = Process()
        self.probes_count = self.probes_failed_count = 0
        self.probe_is_ok = True

    def take_unit(self, now_s: float, *, bad: bool) -> None:
        self._units.add(now_s, bad=bad)

    def take_control(self, answer: Answer, *, now_s: float, is_like_visitors: bool) -> None:
        """`is_like_visitors`: what passes here passes there, as far as anybody asks."""
        asked_s = now_s - answer.latency_ms / 1000
        self._control.append(answer.ok)
        self._failures.add_control(asked_s, bad=not answer.ok)
        if is_like_visitors or not answer.ok:
            self._units.add_control(asked_s, bad=not answer.ok)
        if not answer.ok:
            self._units.add(now_s, bad=False)

    def take_probe(self, answer: Answer, *, now_s: float) -> None:
        self.probes_count += 1
        self.probes_failed_count += not answer.ok
        self.probe_is_ok = answer.ok
        self._failures.add(now_s, bad=not answer.ok)
        if answer.ok:
            self._refusals_in_a_row_count = 0
            return
        self._refusals_in_a_row_count = self._refusals_in_a_row_count + 1 if answer.refused else 0
        self._last_no = answer.reason

    def find_fault(self) -> tuple[str, str] | None:
        """Rule and reason. A row of failed probes is nothing against the candidate while the old slot fails now and
        then: half of the answers of a dependency in trouble make rows of three too."""
        fault = self.process.find_fault()
        if fault is not None:
            return fault
        if self._refusals_in_a_row_count >= REFUSALS_IN_A_ROW:
            return "refused", f"the candidate refuses connections: {self._last_no}"
        if self._failures.count >= self._readiness_limit and self._old_slot_passes(self._failures):
            return "readiness", f"{self._failures.count} probes in a row failed, the last: {self._last_no}"
        return None

    def find_outage(self) -> tuple[str, str] | None:
        """To be asked at a bad unit: the row that trouble of both slots has left behind is nothing against the
        candidate, once the old slot passes again."""
        if self._units.count >= UNITS_IN_A_ROW and self._units.passes_count >= CONTROL_IN_A_ROW:
            return "outage", f"the last {self._units.count} units all failed while the old slot answers"
        return None

    def _old_slot_passes(self, row: Row) -> bool:
        """Or nobody asks it."""
        return not self._control or (row.passes_count >= CONTROL_IN_A_ROW and all(self._control))
