"""Trouble that both slots have from one moment on meets a busy candidate first: what the old slot was asked before that
moment is of a better time, whenever its answer comes."""

from collections.abc import Sequence

import pytest

from celadon.model.names import Slot
from celadon.model.observed import Answer
from celadon.model.verdict import Judgement, Verdict
from celadon.observe.rstar import RStarJudge
from celadon.observe.rule import Rule
from tests.unit.observe.scene import NO, WINDOW_S, YES, baseline, hits

_TICK_S = 0.1
_CROWD = 45


class Ticks:
    """A window as the engine feeds it: ten times a second, the old slot's answers before the lines of the same tick."""

    def __init__(self, rule: Rule | None = None) -> None:
        self.judge = RStarJudge(rule or Rule(), Slot.GREEN)
        self.judge.take_baseline(baseline())
        self._count = 0

    def pass_tick(
        self, *, good: int = 0, bad: int = 0, control: Sequence[Answer] = (), journeys: Sequence[Answer] = ()
    ) -> Verdict | None:
        self._count += 1
        for answer in control:
            self.judge.take_control(answer)
        for answer in journeys:
            self.judge.take_control(answer, journey="order")
        self.judge.take_traffic(hits(good, bad, first=self._count * 1_000))
        return self.judge.judge(elapsed_s=self._count * _TICK_S, window_s=WINDOW_S)


def late(answer_s: float) -> Answer:
    return Answer(ok=True, latency_ms=answer_s * 1000)


@pytest.mark.parametrize("max_error_rate", [None, 0.01])
def test_good_answers_from_before_are_no_proof(max_error_rate: float | None) -> None:
    """Found behind HAProxy with eight visitors: 46 of 47 had failed a tenth of a second after the window had opened."""
    window = Ticks(Rule(max_error_rate=max_error_rate))
    assert window.pass_tick(good=1, bad=_CROWD, control=[YES, YES]) is None
    assert window.judge.needs_control()
    for _ in range(30):
        assert window.pass_tick(bad=_CROWD, control=[NO]) is None
    assert window.judge.judge(elapsed_s=WINDOW_S, window_s=WINDOW_S) is not None


@pytest.mark.parametrize("max_error_rate", [None, 0.01])
def test_two_good_answers_since_are(max_error_rate: float | None) -> None:
    """Which come while nobody visits: the verdict does not wait for the next failure."""
    window = Ticks(Rule(max_error_rate=max_error_rate))
    assert window.pass_tick(good=1, bad=_CROWD, control=[YES, YES]) is None
    assert window.pass_tick(control=[YES]) is None
    verdict = window.pass_tick(control=[YES])
    assert verdict is not None
    assert verdict.judgement is Judgement.BREACH


def test_a_trouble_after_a_quiet_while_is_a_new_one() -> None:
    """The answers between the two failures were good ones in a good time."""
    window = Ticks()
    window.pass_tick(bad=1, control=[YES])
    for _ in range(31):
        window.pass_tick(control=[YES])
    assert window.pass_tick(bad=_CROWD, control=[YES]) is None
    assert window.judge.needs_control()


def test_a_fault_that_is_not_over_is_an_old_one() -> None:
    window = Ticks()
    window.pass_tick(bad=1, control=[YES])
    for _ in range(28):
        window.pass_tick(control=[YES])
    assert window.pass_tick(bad=_CROWD, control=[YES]) is not None


@pytest.mark.parametrize("max_error_rate", [None, 0.01])
def test_an_answer_that_began_before_the_trouble_is_none_since(max_error_rate: float | None) -> None:
    """Journeys of several seconds, or a command: under way when the dependency went down, passed all the same."""
    window = Ticks(Rule(max_error_rate=max_error_rate))
    for _ in range(20):
        window.pass_tick(good=5, journeys=[late(1.9)])
    for tick in range(18):
        journeys = [late(1.9)] if tick % 3 == 0 else []
        assert window.pass_tick(bad=_CROWD, journeys=journeys) is None, tick
    assert window.pass_tick(bad=_CROWD, journeys=[late(0.1)] * 3) is not None


def test_readiness_that_sees_no_dependency_is_no_control_beside_journeys() -> None:
    """It passes all through the trouble, ten times a second; the old slot's own journeys fail, twice a second."""
    window = Ticks()
    for tick in range(100):
        window.pass_tick(good=5, control=[YES], journeys=[YES] if tick % 5 == 0 else [])
    for tick in range(1, 60):
        journeys = [NO] if tick % 5 == 0 else []
        verdict = window.pass_tick(bad=_CROWD, control=[YES], journeys=journeys)
        assert verdict is None, (tick, verdict)
