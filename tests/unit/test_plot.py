"""The small plot: the evidence over the window, and the threshold where it is."""

from math import exp, log

import pytest

from celadon.model.report import Moment, make_moment
from celadon.model.verdict import Evidence
from celadon.sinks.plot import Curve, plot, trace_evidence, trace_failures

ASKED = Evidence(error_evidence_asked=125.0, latency_evidence_asked=500.0, control_evidence_asked=20.0)


def curve(*heights: float) -> Curve:
    """One point a second."""
    return Curve(mark="asked", floor="none", points=tuple(enumerate(heights)))


def moment(second: float, **evidence: float) -> Moment:
    return make_moment(Evidence(**evidence), elapsed_s=second)  # type: ignore[arg-type]


def test_what_rises_to_the_threshold_and_falls_again_is_drawn_so() -> None:
    """The whole of it, to be looked at: over the threshold from the middle on, then a fall; the window goes on."""
    rising = [second / 20 for second in range(25)]
    assert plot(curve(*rising, *[1.2] * 5, *[0.3] * 5), span_s=60.0, width=46) == [
        "asked ┄┄┄┄┄┄┄┄┄┄┄┄┄⣀⡠⠤⠒⠒⠒⠒⡄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄",
        "               ⣀⠤⠒⠊       ⡇",
        "          ⢀⣀⠔⠒⠉           ⡇",
        " none ⣀⠤⠔⠉⠁               ⠉⠉⠉",
        "      0 s                                 60 s",
    ]


@pytest.mark.parametrize(("height", "is_reached"), [(0.999, False), (1.0, True), (40.0, True)])
def test_the_dashed_row_is_reached_at_the_threshold_and_not_before(height: float, *, is_reached: bool) -> None:
    top, *below = plot(curve(height), span_s=60.0, width=20)[:4]
    assert (top[6] != "┄", any(line[6:].strip() for line in below)) == (is_reached, not is_reached)


def test_the_threshold_is_marked_over_the_whole_window_before_anything_is_known() -> None:
    assert plot(curve(), span_s=60.0, width=20) == ["asked ┄┄┄┄┄┄┄┄┄┄┄┄┄┄", "", "", " none", "      0 s       60 s"]


def test_a_peak_between_two_columns_is_not_lost() -> None:
    """A hundred samples on ten columns."""
    heights = [0.0] * 100
    heights[55] = 1.0
    assert [column for column in plot(curve(*heights), span_s=100.0, width=11)[0][6:] if column != "┄"] != []


def test_half_of_the_logarithm_is_half_of_the_way() -> None:
    """Evidence multiplies; on a linear scale nothing would be seen of it until it is there."""
    both = {"error_evidence": exp(log(125) / 2), "control_evidence": 1e9}
    [(_, height)] = trace_evidence([moment(1, **both)], asked=ASKED).points
    assert height == pytest.approx(0.5)


def test_the_curve_is_of_what_a_rollback_still_lacks() -> None:
    """Errors without the control's word do not lead back; slowness needs no errors."""
    moments = [
        moment(1, error_evidence=1e9),
        moment(2, error_evidence=125.0, control_evidence=1e9),
        moment(3, latency_evidence=500.0),
    ]
    heights = [height for _, height in trace_evidence(moments, asked=ASKED).points]
    assert heights == pytest.approx([0.0, 1.0, 1.0])


def test_of_a_limit_the_share_of_failed_requests_is_drawn() -> None:
    found = trace_failures([moment(1), moment(2, requests_count=200, failed_count=1)], max_error_rate=0.01)
    assert (found.mark, found.floor, found.points) == ("1.0%", "0", ((1, 0.0), (2, 0.5)))
