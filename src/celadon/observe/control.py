"""The control: is it the candidate, or does the old slot fail as well? What fails both (a database, a disk) is ambient.

The test is Cox's partial likelihood (Regression models and life-tables, 1972) as a bet: *given that something failed
now*, was it something asked of the candidate or of the old slot? While both fail at one rate, the odds are those of
what was asked of each in the seconds before, whatever that rate is and however it changes. So a dependency's trouble,
beginning and ending at any time, is no evidence against the candidate, and the bound holds at every moment that one
looks."""

from collections import deque
from math import exp, inf, log, sqrt
from typing import Final

from celadon.observe.evidence import EVIDENCE_MAX, STARTS_LIMIT, count_starts
from celadon.observe.rule import RESTART_EVERY_S

# Each a bet: the odds of failing, times the old slot's, that are no difference, and those that it bets on. Visitors and
# probes ask different things, hence 1.5. "The old slot does not fail at all" is lost with its first failures, and needs
# no such margin.
ODDS: Final = ((1.5, 5.0), (1.5, 15.0), (1.0, 100.0))

# What counts as asked "now". The short span keeps a sudden rush of visitors from looking like a rush of failures.
SPAN_S: Final = 10
SPAN_SHORT_S: Final = 3

# Usual bad units that did not come may be spared up to one span's worth and this.
_SPARE: Final = 1.0

RECENT_S: Final = 120.0
_RECENT_LIMIT: Final = 5_000
_RECENT_ENOUGH: Final = 20
_DOWN_FROM = 3

_ANSWERS_SINCE: Final = 2

# z of a one-sided bound
Z_90: Final = 1.2815515655446004
Z_99: Final = 2.3263478740408408


def wilson_low(k: int, n: int, *, z: float = Z_90) -> float:
    """Wilson's score bound (Probable inference, 1927), one-sided. 0 of none."""
    return _wilson(k, n, z=-z) if n else 0.0


def wilson_up(k: int, n: int, *, z: float = Z_99) -> float:
    return _wilson(k, n, z=z) if n else 1.0


def _wilson(k: int, n: int, *, z: float) -> float:
    share, square = k / n, z * z
    root = sqrt(share * (1 - share) / n + square / (4 * n * n))
    return min(1.0, max(0.0, (share + square / (2 * n) + z * root) / (1 + square / n)))


class Asked:
    """How much was asked of each in the last SPAN_S, in bins of a second."""

    def __init__(self) -> None:
        self.candidate_count = self.control_count = 0
        self._candidate, self._control = [0] * SPAN_S, [0] * SPAN_S
        self._second = 0

    def pass_time(self, elapsed_s: float) -> None:
        second = int(elapsed_s)
        for passed in range(max(self._second, second - SPAN_S) + 1, second + 1):
            self.candidate_count -= self._candidate[passed % SPAN_S]
            self.control_count -= self._control[passed % SPAN_S]
            self._candidate[passed % SPAN_S] = self._control[passed % SPAN_S] = 0
        self._second = max(second, self._second)

    def add_candidate(self, count: int) -> None:
        self._candidate[self._second % SPAN_S] += count
        self.candidate_count += count

    def add_control(self) -> None:
        self._control[self._second % SPAN_S] += 1
        self.control_count += 1

    def ratio(self) -> float:
        """Asked of the old slot for each one asked of the candidate: of the two spans the one that says less."""
        recent = [second % SPAN_S for second in range(self._second - SPAN_SHORT_S + 1, self._second + 1)]
        candidate, control = sum(self._candidate[at] for at in recent), sum(self._control[at] for at in recent)
        return min(control / max(candidate, 1), self.control_count / max(self.candidate_count, 1))


class Spare:
    """Failures at the rate that is usual are no evidence of anything: they are taken from what was saved up, at most
    what one span brings and one more."""

    def __init__(self, usual_rate: float) -> None:
        self._usual_rate = usual_rate
        self._saved = 0.0

    def save(self, count: int, *, asked_count: int) -> None:
        self._saved = min(self._saved + self._usual_rate * count, self._usual_rate * asked_count + 1)

    def take(self) -> bool:
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


class Difference:
    """E_control: the candidate fails where the old slot does not. 1 while the old slot is not asked.

    Visitors' failures at their usual rate, and probes' at the same, are spared: journeys fail less than visitors do,
    always, and that difference must not be taken for one that the release made."""

    def __init__(self, usual_rate: float) -> None:
        self._asked = Asked()
        self._sums = [0.0] * len(ODDS)
        self._starts = [(0, tuple(self._sums))]
        self._next_s = RESTART_EVERY_S
        self._candidate_spare, self._control_spare = Spare(usual_rate), Spare(usual_rate)

    @property
    def control_count(self) -> int:
        """What was asked of the old slot in the last SPAN_S."""
        return self._asked.control_count

    def pass_time(self, elapsed_s: float) -> None:
        self._asked.pass_time(elapsed_s)
        if elapsed_s < self._next_s:
            return
        index = count_starts(elapsed_s)
        self._starts.append((index, tuple(self._sums)))
        self._next_s = (index + 1) * RESTART_EVERY_S
        if len(self._starts) > STARTS_LIMIT:
            del self._starts[1]

    def add_good(self, count: int) -> None:
        """Of the candidate."""
        self._asked.add_candidate(count)
        self._candidate_spare.save(count, asked_count=self._asked.candidate_count)

    def add_bad(self) -> None:
        """Of the candidate."""
        self.add_good(1)
        if self._candidate_spare.take():
            return
        ratio = self._asked.ratio()
        for index, (tolerated, bet) in enumerate(ODDS):
            self._sums[index] += log(bet / tolerated * (tolerated + ratio) / (bet + ratio))

    def add_control(self, *, bad: bool) -> None:
        self._asked.add_control()
        self._control_spare.save(1, asked_count=self._asked.control_count)
        if not bad or self._control_spare.take():
            return
        ratio = self._asked.ratio()
        for index, (tolerated, bet) in enumerate(ODDS):
            self._sums[index] += log((tolerated + ratio) / (bet + ratio))

    def value_since(self, start: int) -> float:
        """From the start on that the evidence against the candidate comes from (ShareTest.weigh): each alone exceeds
        1/alpha with probability at most alpha while both slots fail alike, and trouble of two minutes has five of
        them."""
        before = next(before for index, before in reversed(self._starts) if index <= start)
        logs = [now - then for now, then in zip(self._sums, before, strict=True)]
        return min(sum(exp(min(value, 100.0)) for value in logs) / len(logs), EVIDENCE_MAX)


class Control:
    """The old slot's answers, asked two things. `excess`: whether the candidate fails more, beyond what is usual;
    `plain`: whether it fails more at all, which is what an explicit threshold is held against."""

    def __init__(self, usual_rate: float) -> None:
        self.excess, self.plain = Difference(usual_rate), Difference(0.0)

    def pass_time(self, elapsed_s: float) -> None:
        for each in (self.excess, self.plain):
            each.pass_time(elapsed_s)

    def add_good(self, count: int) -> None:
        for each in (self.excess, self.plain):
            each.add_good(count)

    def add_bad(self) -> None:
        for each in (self.excess, self.plain):
            each.add_bad()

    def add_control(self, *, bad: bool) -> None:
        for each in (self.excess, self.plain):
            each.add_control(bad=bad)


class Spell:
    """Failures of the candidate with no SPAN_SHORT_S between two of them, and how often the old slot, asked since the
    first, has answered. Trouble that begins in both slots at once meets a busy candidate first: what the old slot was
    asked before is of a better time, and says nothing."""

    def __init__(self) -> None:
        self._began_s = self._last_s = -inf
        self._answers_count = 0

    @property
    def is_compared(self) -> bool:
        return self._answers_count >= _ANSWERS_SINCE

    def add_bad(self, now_s: float) -> None:
        if now_s - self._last_s > SPAN_SHORT_S:
            self._began_s, self._answers_count = now_s, 0
        self._last_s = now_s

    def add_control(self, asked_s: float) -> None:
        self._answers_count += asked_s >= self._began_s


class Recent:
    """The old slot's own failures in the last two minutes: what an explicit threshold is held against."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, bool]] = deque(maxlen=_RECENT_LIMIT)
        self._failed_count = 0
        self.count = self.failed_count = 0

    def add(self, elapsed_s: float, *, bad: bool) -> None:
        self.count += 1
        self.failed_count += bad
        if len(self._seen) == _RECENT_LIMIT:
            self._forget()
        self._seen.append((elapsed_s, bad))
        self._failed_count += bad
        while self._seen[0][0] < elapsed_s - RECENT_S:
            self._forget()

    def fails_above(self, rate: float) -> bool:
        """False where it was hardly asked, but for an old slot that has not answered well once."""
        count = len(self._seen)
        is_down = self._failed_count == count >= _DOWN_FROM
        return is_down or (count >= _RECENT_ENOUGH and self._failed_count > rate * count)

    def _forget(self) -> None:
        self._failed_count -= self._seen.popleft()[1]
