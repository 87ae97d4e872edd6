"""Other ways to ask the control, so that the choice can be measured: OBS-1 runs them by `--rule`."""

from collections import deque
from collections.abc import Sequence

from celadon.model.names import Slot
from celadon.model.observed import Counted, Hit
from celadon.observe.baseline import Known
from celadon.observe.control import wilson_low, wilson_up
from celadon.observe.rstar import RStarJudge
from celadon.observe.rule import Rule

_SPANS_S = (30, 120)


class WilsonControl:
    """The rule as it was first written down: for one of the last 30 s, the last 120 s, or all, Wilson's lower 90 %
    bound of the candidate's bad share lies above the upper 99 % bound of the old slot's."""

    def __init__(self) -> None:
        self._second = 0.0
        self._seconds: deque[list[float]] = deque([[0, 0, 0, 0, 0]])
        self._all = [0, 0, 0, 0]

    def pass_time(self, elapsed_s: float) -> None:
        self._seconds.append([elapsed_s, 0, 0, 0, 0])
        while self._seconds[0][0] <= elapsed_s - _SPANS_S[-1]:
            self._seconds.popleft()

    def add_good(self, count: int) -> None:
        self._add(0, count)

    def add_bad(self) -> None:
        self._add(0, 1)
        self._add(1, 1)

    def add_control(self, *, bad: bool) -> None:
        self._add(2, 1)
        self._add(3, bad)

    def _add(self, index: int, count: int) -> None:
        self._all[index] += count
        self._seconds[-1][index + 1] += count

    def value_since(self, _start: int) -> float:
        now_s = self._seconds[-1][0]
        for span_s in _SPANS_S:
            recent = [second for second in self._seconds if second[0] > now_s - span_s]
            if self._differs(*(int(sum(second[index] for second in recent)) for index in range(1, 5))):
                return 1e9
        return 1e9 if self._differs(*self._all) else 1.0

    @staticmethod
    def _differs(asked: int, bad: int, control: int, control_bad: int) -> bool:
        return wilson_low(bad, asked) > wilson_up(control_bad, control)


class WilsonJudge(RStarJudge):
    def _know(self, known: Known, *, pace_ms: float | None = None) -> None:
        super()._know(known, pace_ms=pace_ms)
        self._control.excess = WilsonControl()  # type: ignore[assignment]


class CountersJudge(RStarJudge):
    """The product's, told only what a proxy's counters would tell of the same visitors."""

    def take_traffic(self, hits: Sequence[Hit]) -> None:
        counted = Counted(
            slot=self._candidate, requests_count=len(hits), failed_count=sum(hit.failed for hit in hits), over_s=1.0
        )
        self.take_counts([counted])


JUDGES: dict[str, type[RStarJudge]] = {"product": RStarJudge, "wilson": WilsonJudge, "counters": CountersJudge}


def make_judge(name: str, rule: Rule, candidate: Slot) -> RStarJudge:
    return JUDGES[name](rule, candidate)
