"""The benchmark runs the product's own judge, and the same seed is the same window."""

import pytest
from bench.obs1.cells import Cell
from bench.obs1.rules import Argo, Flagger, Naive
from bench.obs1.runs import run_once

from celadon.model.verdict import Judgement


def test_a_window_from_log_lines_ends_as_the_one_from_their_parsed_form() -> None:
    """Through the reader of nginx's format, too."""
    cell = Cell(name="20 %", rate=5.0, p_g=0.2)
    parsed, lines = (run_once(cell, 7, judge_name="product", lines=lines) for lines in (False, True))
    assert parsed.judgement is lines.judgement is Judgement.BREACH
    assert (parsed.rolled_back_s, parsed.hurt_count) == (lines.rolled_back_s, lines.hurt_count)


@pytest.mark.parametrize(
    ("cell", "judgement"),
    [
        (Cell(name="no traffic", rate=0.0, p_g=1.0), Judgement.UNDECIDED),
        (Cell(name="journeys only", rate=0.0, p_b=0.0, p_g=0.0, journeys_a_second=1), Judgement.HEALTHY),
        (Cell(name="outage", rate=5.0, p_g=1.0), Judgement.BREACH),
        (Cell(name="bot", rate=0.01, bot=True), Judgement.UNDECIDED),
        (Cell(name="latency ×3", rate=5.0, slower=3.0), Judgement.BREACH),
    ],
)
def test_plain_cells_end_as_they_must(cell: Cell, judgement: Judgement) -> None:
    """One window of each."""
    assert run_once(cell, 1, judge_name="product", lines=False).judgement is judgement


@pytest.mark.parametrize(("rival", "outage_s", "idle_s"), [(Naive, 60, None), (Flagger, 300, 300), (Argo, 240, 240)])
def test_the_others_need_minutes_for_an_outage(
    rival: type[Naive | Flagger | Argo], outage_s: int, idle_s: int | None
) -> None:
    """And two of them roll an idle site back."""
    for asked, failed, expected_s in ((5, 5, outage_s), (0, 0, idle_s), (5, 0, None)):
        rule = rival()
        found = next((second for second in range(1, 601) if rule.rolls_back(second, asked, failed)), None)
        assert found == expected_s
