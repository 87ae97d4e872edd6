"""The rule tried on days that nothing was wrong with."""

from celadon.model.baseline import Baseline, Minute, RouteCount
from celadon.observe.aa import check_aa
from celadon.observe.baseline import MINUTES_MAX
from celadon.observe.rule import Rule


def minute(at: int, units_count: int, bad_units_count: int = 0) -> Minute:
    return Minute(at, {"GET /": RouteCount(units_count, bad_units_count)}, {10: units_count})


def day(*bad_windows: int) -> Baseline:
    """144 windows of ten minutes; a third of the units in each of `bad_windows` fail."""
    return Baseline(minutes=tuple(minute(at, 60, 20 if at // 10 in bad_windows else 0) for at in range(1_440)))


def test_a_calm_day_leaves_the_rollback_armed() -> None:
    checked = check_aa(day(), Rule(), window_s=600)
    assert checked.is_armed
    assert checked.describe() == (
        "in 0 of 144 earlier windows the rule would have gone back: automatic rollback stays armed"
    )


def test_one_bad_window_of_a_day_leaves_it_armed_and_three_do_not() -> None:
    """The limit is 2 % of the windows, which are 2.88 here."""
    assert check_aa(day(20), Rule(), window_s=600).fired_count == 1
    assert check_aa(day(20), Rule(), window_s=600).is_armed
    checked = check_aa(day(20, 50, 90), Rule(), window_s=600)
    assert not checked.is_armed
    assert checked.describe() == (
        "in 3 of 144 earlier windows the rule would have gone back, more than 2%: automatic rollback is not armed"
    )


def test_a_threshold_that_the_usual_traffic_breaks_does_not_arm() -> None:
    """One in fifty fails always: usual, but more than somebody asked for."""
    usual = Baseline(minutes=tuple(minute(at, 100, 2) for at in range(1_440)))
    assert check_aa(usual, Rule(), window_s=600).is_armed
    assert not check_aa(usual, Rule(max_error_rate=0.002), window_s=600).is_armed


def test_what_is_older_than_seven_days_is_not_tried() -> None:
    old = [minute(at, 60, 60) for at in range(100)]
    recent = [minute(at + MINUTES_MAX + 100, 60) for at in range(100)]
    checked = check_aa(Baseline(minutes=(*old, *recent)), Rule(), window_s=600)
    assert (checked.windows_count, checked.fired_count) == (10, 0)


def test_without_traffic_there_is_nothing_to_count_and_the_sentence_says_so() -> None:
    for empty in (Baseline(), Baseline(minutes=(minute(3, 0),))):
        checked = check_aa(empty, Rule(), window_s=600)
        assert checked.windows_count == 0
        assert checked.describe().startswith("no earlier traffic is known")
