"""Words and JSON for people and programs."""

import io
import json
import re

import msgspec
import pytest

from celadon.cli.exit_codes import EXIT_CODES, exit_code_of, render_exit_codes
from celadon.events import (
    BaselineGathered,
    CandidateUnready,
    Entry,
    Event,
    JourneyFailed,
    JourneyPassed,
    OperationEnded,
    OperationStarted,
    Step,
    StepEnded,
    StepStarted,
    WindowSampled,
    decode_event,
    encode_event,
)
from celadon.model.names import AppName, OperationId, ReleaseNumber, Slot
from celadon.model.plan import OperationKind, Outcome
from celadon.model.verdict import Evidence
from celadon.sinks.json_lines import JsonSink
from celadon.sinks.lines import LinesSink
from celadon.sinks.live import LiveSink
from celadon.sinks.wording import describe_end, describe_event


def entry(body: Event) -> Entry:
    return Entry(sequence=1, operation=OperationId("op"), app=AppName("shop"), at=0.0, body=body)


STORY: tuple[Event, ...] = (
    OperationStarted(kind=OperationKind.DEPLOY, lead="ada", pid=1, candidate=Slot.GREEN, live=Slot.BLUE),
    StepStarted(step=Step.VERIFY),
    CandidateUnready(slot=Slot.GREEN, reason="status 503", probe="GET /health", log_tail=("boom", "bye")),
    JourneyPassed(journey="home", slot=Slot.GREEN, duration_ms=12.4),
    JourneyFailed(journey="buy", slot=Slot.GREEN, status=500, reason="step 2, GET /cart: status 500", head="boom"),
    StepEnded(step=Step.VERIFY, result="failed", duration_s=1.5, reason="status 503"),
    StepStarted(step=Step.OBSERVE),
    WindowSampled(elapsed_s=3, window_s=60, candidate_requests_per_s=12.5, old_requests_per_s=0.5, evidence=Evidence()),
    OperationEnded(outcome=Outcome.REJECTED, reason="status 503", next_command="celadon logs", route=Slot.BLUE),
)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_ending_says_where_traffic_goes_and_what_to_type(outcome: Outcome) -> None:
    """What failed, traffic, next command."""
    ended = OperationEnded(
        outcome=outcome, reason="a reason", next_command="celadon x", route=Slot.BLUE, route_release=ReleaseNumber(3)
    )
    text = describe_end(ended)
    assert "a reason" in text
    assert "Traffic: blue, r3" in text
    assert "Next:    celadon x" in text


def test_lines_tell_the_story() -> None:
    """One line an event, the app's own lines set off."""
    stream = io.StringIO()
    sink = LinesSink(stream, quiet=False)
    for event in STORY:
        sink.take(entry(event))
    text = stream.getvalue()
    for part in ("deploy into green by ada", "GET /health: status 503", "| boom", "Rejected", "12.5 requests/s"):
        assert part in text
    assert all(re.match(r"\d\d:\d\d:\d\d  ", line) for line in text.splitlines())


def test_quiet_tells_the_end_only() -> None:
    """For cron."""
    stream = io.StringIO()
    sink = LinesSink(stream, quiet=True)
    for event in STORY:
        sink.take(entry(event))
    assert stream.getvalue().count("\n") == 3


def test_json_is_one_entry_a_line_as_stored() -> None:
    """It can be read back to the same events."""
    stream = io.StringIO()
    sink = JsonSink(stream)
    for event in STORY:
        sink.take(entry(event))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["schema"] for line in lines} == {1}
    assert tuple(decode_event(json.dumps(line["body"])) for line in lines) == STORY


@pytest.mark.parametrize("event", STORY, ids=lambda event: type(event).__name__)
def test_events_survive_storage(event: Event) -> None:
    """Encoded and decoded, they are equal."""
    assert decode_event(encode_event(event)) == event


def test_the_live_view_draws_and_leaves_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, without colour when NO_COLOR is set."""
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    sink = LiveSink(stream)
    for event in STORY:
        sink.take(entry(event))
    sink.close()
    text = stream.getvalue()
    assert "Rejected" in text
    assert "| boom" in text
    assert "\x1b[3" not in text


def test_a_rollback_of_ones_own_is_done_and_a_deploys_is_not() -> None:
    """0 and 11."""
    assert exit_code_of(Outcome.ROLLED_BACK, OperationKind.ROLLBACK) == 0
    assert exit_code_of(Outcome.ROLLED_BACK, OperationKind.DEPLOY) == 11


@pytest.mark.parametrize("kind", OperationKind)
@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_documented_exit_code(outcome: Outcome, kind: OperationKind) -> None:
    """And only DONE, or one's own rollback, is 0."""
    code = exit_code_of(outcome, kind)
    assert code in EXIT_CODES
    assert (code == 0) is (
        outcome is Outcome.DONE or (outcome is Outcome.ROLLED_BACK and kind is OperationKind.ROLLBACK)
    )
    assert f"| {code} |" in render_exit_codes()


def test_the_evidence_that_is_shown_is_what_is_judged() -> None:
    """Journeys alone weigh less than it looks; thresholds have none to show."""
    sampled = WindowSampled(
        elapsed_s=3,
        window_s=60,
        candidate_requests_per_s=12.5,
        old_requests_per_s=0.5,
        evidence=Evidence(
            user_evidence=1.0,
            journey_evidence=500.0,
            error_evidence=50.9,
            error_evidence_asked=125.0,
            control_count=15,
            control_failed_count=2,
        ),
    )
    assert "evidence 50.9 of 125  old slot: 2 of 15 failed" in (describe_event(sampled) or "")
    assert "evidence" not in (describe_event(msgspec.structs.replace(sampled, evidence=Evidence())) or "")


def test_what_was_usual_is_told_with_what_the_rule_would_have_done() -> None:
    """And a problem as a warning, which is not the deploy's."""
    known = BaselineGathered(
        minutes_count=12,
        units_count=1310,
        bad_units_count=26,
        rate_bound=0.0341,
        p95_ms=84.04,
        cut_short=True,
        trial="in 0 of 12 earlier windows",
    )
    assert (describe_event(known) or "").splitlines() == [
        "  the live slot before: 26 of 1310 units in 12 minutes failed, usually less than 3.41%, p95 84.0 ms",
        "    only the newest part of the access log was read: it is long",
        "    in 0 of 12 earlier windows",
    ]
    unknown = BaselineGathered(
        minutes_count=0, units_count=0, bad_units_count=0, rate_bound=None, p95_ms=None, problem="no space left"
    )
    assert (describe_event(unknown) or "").splitlines() == [
        "  warning: no space left",
        "  the live slot's usual traffic is not known yet",
    ]
