"""Counts without clients: what they may decide, and what they must not."""

from random import Random

import pytest

from celadon.model.names import Slot
from celadon.model.observed import Answer, Counted
from celadon.model.verdict import Judgement, StandsOn, Verdict
from celadon.observe.counted import CountedTest
from celadon.observe.rstar import RStarJudge
from celadon.observe.rule import Rule
from tests.unit.observe.scene import NO, YES, baseline

P0 = 0.01


def counted(requests: int, failed: int = 0, *, client_errors: int = 0, slot: Slot = Slot.GREEN) -> Counted:
    """Of one second."""
    return Counted(
        slot=slot, requests_count=requests, failed_count=failed, client_errors_count=client_errors, over_s=1.0
    )


def judge_seconds(
    seconds: list[Counted], *, control: Answer = YES, max_error_rate: float | None = P0, window_s: float = 600.0
) -> Verdict:
    judge = RStarJudge(Rule(max_error_rate=max_error_rate), Slot.GREEN)
    judge.take_baseline(baseline())
    judge.take_stand(StandsOn.COUNTERS, reason="the log is gone")
    for second, each in enumerate(seconds, 1):
        for _ in range(5):
            judge.take_control(control)
        judge.take_counts([each])
        verdict = judge.judge(elapsed_s=float(second), window_s=window_s)
        if verdict is not None:
            return verdict
    raise AssertionError("no verdict at the window's end")


@pytest.mark.parametrize(("a_second", "failed", "within_s"), [(5, 5, 30), (50, 10, 50), (500, 25, 60), (500, 500, 20)])
def test_a_fault_is_found_within_a_minute(a_second: int, failed: int, within_s: int) -> None:
    verdict = judge_seconds([counted(a_second, failed)] * 600)
    assert (verdict.judgement, verdict.rule) == (Judgement.BREACH, "counted_errors")
    assert verdict.evidence.elapsed_s <= within_s
    assert "by the proxy's own counters only" in verdict.reason
    assert verdict.evidence.stands_on is StandsOn.COUNTERS


def test_one_broken_client_never_leads_back() -> None:
    """Twice a second for ten minutes, on a site where hardly anybody else is: a log would know that it is one."""
    verdict = judge_seconds([counted(3, 2)] * 600)
    assert verdict.judgement is Judgement.UNDECIDED


def test_trouble_that_the_old_slot_has_too_leads_nowhere() -> None:
    verdict = judge_seconds([counted(50, 25)] * 600, control=NO)
    assert verdict.judgement is Judgement.AMBIENT


def test_what_visitors_asked_wrongly_is_neither_good_nor_bad() -> None:
    verdict = judge_seconds([counted(50, client_errors=50)] * 600)
    assert verdict.judgement is Judgement.UNDECIDED
    assert verdict.evidence.units_count == 0


def test_the_other_slots_failures_are_not_the_candidates() -> None:
    judge = CountedTest(Slot.GREEN, P0)
    assert not judge.take([counted(50, 50, slot=Slot.BLUE)] * 100)
    assert (judge.requests_count, judge.units_count) == (0, 0)


def test_a_second_with_visitors_is_one_unit_for_a_bless() -> None:
    """However many came in it: 299 of them show less than 1 %."""
    verdict = judge_seconds([counted(500)] * 299, window_s=299.0)
    assert (verdict.judgement, verdict.evidence.units_count) == (Judgement.HEALTHY, 299)
    early = judge_seconds([counted(500)] * 298, window_s=298.0)
    assert early.judgement is Judgement.UNDECIDED


def test_a_rate_that_is_tolerated_is_blessed_when_enough_have_come() -> None:
    verdict = judge_seconds([counted(500, 2)] * 600, max_error_rate=0.05)
    assert verdict.judgement is Judgement.HEALTHY
    assert verdict.evidence.bad_units_count == 3


def test_clusters_do_not_exceed_the_bound_of_the_bet() -> None:
    """A thousand windows at exactly the tolerated rate once what one client may do is taken off, all of it in clusters
    of a hundred: the bet is ever 125 to 1 in fewer than one in a hundred and twenty-five."""
    draw, wrong = Random(5), 0
    for _ in range(1_000):
        test = CountedTest(Slot.GREEN, P0)
        for _ in range(60):
            failed = 100 if draw.random() < 1 / 16 else 0
            test.take([Counted(slot=Slot.GREEN, requests_count=500, failed_count=failed, over_s=10.0)])
            if test.value() >= 125:
                wrong += 1
                break
    assert wrong <= 8


def test_a_fault_that_begins_late_is_not_paid_for_with_all_the_good_before() -> None:
    verdict = judge_seconds([counted(50)] * 300 + [counted(50, 25)] * 300)
    assert verdict.judgement is Judgement.BREACH
    assert verdict.evidence.elapsed_s <= 340
