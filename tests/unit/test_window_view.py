"""The open window on a terminal."""

import io

import pytest

from celadon.events import (
    Entry,
    Event,
    OperationStarted,
    Step,
    StepEnded,
    StepStarted,
    WindowOpened,
    WindowSampled,
)
from celadon.model.names import AppName, OperationId, Slot
from celadon.model.observed import Served
from celadon.model.plan import OperationKind
from celadon.model.verdict import Evidence, FailingRoute
from celadon.sinks.live import LiveSink
from celadon.sinks.window import Window
from celadon.sinks.wording import describe_event

OPENED = WindowOpened(window_s=600.0, max_error_rate=0.05, min_requests_count=20)
EVIDENCE = Evidence(
    requests_count=2361,
    failed_count=41,
    probes_count=33,
    control_count=185,
    control_failed_count=2,
    journeys_count=12,
    error_evidence=71.7,
    control_evidence=1.1,
    error_evidence_asked=125.0,
    latency_evidence_asked=500.0,
    control_evidence_asked=20.0,
    failing_routes=(
        FailingRoute(route="GET /cart/\x1b[2J{n}", failed_count=40),
        FailingRoute(route="GET /", failed_count=1),
    ),
)
SAMPLE = WindowSampled(
    elapsed_s=37.0,
    window_s=600.0,
    candidate_requests_per_s=1154.3,
    old_requests_per_s=0.0,
    candidate=Served(requests_count=1154, failed_count=39, p50_ms=12.0, p95_ms=84.2, probe_p95_ms=2.1),
    old=Served(probe_p95_ms=3.4),
    evidence=EVIDENCE,
)


def render(sample: WindowSampled, *, width: int = 79, plots: bool = True) -> list[str]:
    window = Window(OPENED, candidate=Slot.GREEN)
    window.take(sample)
    return window.render(width=width, plots=plots)


def test_both_slots_and_the_evidence_on_its_way_are_seen_at_once() -> None:
    """At 80 columns, without colour."""
    assert render(SAMPLE) == [
        "  window    ███░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  37 of 600 s",
        "            requests/s  failed       p95  failed in all  we asked",
        "  green         1154.3    3.4%     84 ms     41 of 2361  33, 0 failed, 2 ms",
        "  blue             0.0       –         –              0  185, 2 failed, 3 ms",
        "  evidence  errors 71.7 of 125   slowness 1 of 500   control 1.1 of 20",
        "  journeys  0 of 12 failed",
        "  failing   GET /cart/\\x1b[2J{n} (40), GET / (1)",
        "  asked ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄",
        "",
        "",
        "   none ⣀⣀⣀⣀⡀",
        "        0 s                                                               600 s",
    ]


@pytest.mark.parametrize("width", [20, 50, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, render(SAMPLE, width=width))) <= width


def test_a_low_terminal_gets_the_figures_without_the_plot() -> None:
    assert not any("┄" in line for line in render(SAMPLE, plots=False))


def test_what_an_older_version_did_not_sample_is_a_dash() -> None:
    """Attached to an operation that an older celadon began."""
    old = WindowSampled(
        elapsed_s=1.0, window_s=60.0, candidate_requests_per_s=3.0, old_requests_per_s=0.0, evidence=Evidence()
    )
    green, blue = render(old)[2:4]
    assert green == "  green            3.0       –         –         0 of 0  nothing"
    assert blue == "  blue             0.0       –         –              0  nothing"


def test_a_share_of_the_traffic_is_named_and_the_old_slots_visitors_are_the_control() -> None:
    held = WindowSampled(
        elapsed_s=10.0,
        window_s=30.0,
        candidate_requests_per_s=3.0,
        old_requests_per_s=9.0,
        evidence=Evidence(percent=25, control_count=318),
    )
    assert render(held)[0].endswith("░  10 of 30 s, 25 % of the traffic")
    assert render(held)[3].endswith("  control 318, 0 failed")
    assert "limit     5.0% of at least 20 requests may fail" in "\n".join(render(held))


def test_the_live_view_shows_the_window_while_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place, and not as lines that stay."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "30")
    stream = io.StringIO()
    sink = LiveSink(stream)
    story: tuple[Event, ...] = (
        OperationStarted(kind=OperationKind.DEPLOY, lead="ada", pid=1, candidate=Slot.GREEN, live=Slot.BLUE),
        StepStarted(step=Step.OBSERVE),
        OPENED,
        SAMPLE,
    )
    for body in story:
        sink.take(Entry(sequence=1, operation=OperationId("op"), app=AppName("shop"), at=0.0, body=body))
    drawn = str(sink._render())
    sink.take(
        Entry(
            sequence=2,
            operation=OperationId("op"),
            app=AppName("shop"),
            at=0.0,
            body=StepEnded(step=Step.OBSERVE, result="ok", duration_s=1.0),
        )
    )
    after = str(sink._render())
    sink.close()
    assert "\n".join(render(SAMPLE)) in drawn
    assert "37 of 600 s" not in after


def test_a_plain_line_says_how_slow_and_how_sure() -> None:
    """One line a sample, for pipes."""
    assert describe_event(SAMPLE) == (
        "   37.0 of 600 s   1154.3 requests/s, p95 84 ms  2361 requests, 41 failed  33 probes, 0 failed"
        "  evidence 71.7 of 125  old slot: 2 of 185 failed"
    )
