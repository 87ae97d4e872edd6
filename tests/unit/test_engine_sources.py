"""What the verdict stands on when the access log cannot be read: the proxy's counters, then probes alone."""

import pytest
from msgspec.structs import replace

from celadon.events import SourceLost, VerdictReached, WindowSampled
from celadon.model.names import Slot
from celadon.model.plan import Outcome
from celadon.model.settings import JudgeKind, ObserveSettings, OnUndecided, Settings
from celadon.model.verdict import Judgement, StandsOn, Verdict
from celadon.sinks.wording import describe_event
from tests.fakes.world import Nature, World, events_of, make_settings

FOREVER = float("inf")
BOTH = pytest.mark.parametrize("judge", [JudgeKind.THRESHOLDS, JudgeKind.EVIDENCE])


def watched(judge: JudgeKind, *, window_s: float = 90.0, on_undecided: OnUndecided = OnUndecided.HOLD) -> Settings:
    observe = ObserveSettings(judge=judge, window_s=window_s, max_error_rate=0.05, on_undecided=on_undecided)
    return replace(make_settings(), observe=observe)


@pytest.fixture
def world() -> World:
    """r1 is live, in blue; the proxy counts for as long as anybody looks."""
    world = World()
    assert world.deploy(1) is Outcome.DONE
    world.counters_end_at_s = FOREVER
    return world


def verdict_of(world: World) -> VerdictReached:
    return events_of(world, VerdictReached)[-1]


def lose_log(world: World, *, after_s: float = 0.0) -> None:
    world.log_ends_at_s = world.now_s + after_s


@BOTH
def test_a_log_that_is_read_is_what_the_verdict_stands_on(world: World, judge: JudgeKind) -> None:
    """However much the proxy counts beside it: nobody is counted twice."""
    assert world.deploy(2, settings=watched(judge)) is Outcome.DONE
    evidence = verdict_of(world).evidence
    assert evidence.stands_on is StandsOn.LOG
    assert evidence.requests_count == pytest.approx(900, abs=20)
    assert events_of(world, SourceLost) == []


@BOTH
def test_a_log_that_was_taken_away_leaves_the_counters(world: World, judge: JudgeKind) -> None:
    """All of the window's visitors are in the evidence, each once; and the verdict says on what it stands."""
    lose_log(world, after_s=20.0)
    assert world.deploy(2, settings=watched(judge)) is Outcome.DONE
    verdict = verdict_of(world)
    assert verdict.judgement is Judgement.HEALTHY
    assert verdict.evidence.stands_on is StandsOn.COUNTERS
    assert verdict.evidence.requests_count == pytest.approx(900, abs=30)
    assert "by the proxy's own counters only" in verdict.reason
    [lost] = events_of(world, SourceLost)
    assert (lost.lost, lost.stands_on) == (StandsOn.LOG, StandsOn.COUNTERS)
    assert "left no line in the access log" in lost.reason


@BOTH
def test_a_release_that_fails_is_taken_back_on_counters_alone(world: World, judge: JudgeKind) -> None:
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    lose_log(world)
    assert world.deploy(2, settings=watched(judge)) is Outcome.ROLLED_BACK
    verdict = verdict_of(world)
    assert verdict.evidence.stands_on is StandsOn.COUNTERS
    assert verdict.evidence.elapsed_s <= 32
    assert world.route is Slot.BLUE


@BOTH
def test_without_log_and_counters_nothing_is_blessed_by_itself(world: World, judge: JudgeKind) -> None:
    """Clean probes and no line are no quiet site: visitors may get anything."""
    lose_log(world)
    world.counters_end_at_s = 0.0
    assert world.deploy(2, settings=watched(judge)) is Outcome.UNBLESSED
    verdict = verdict_of(world)
    assert verdict.judgement is Judgement.UNDECIDED
    assert verdict.evidence.stands_on is StandsOn.PROBES
    assert "visitors were not seen to the end" in verdict.reason
    assert "probes alone" in verdict.reason
    assert world.runs(Slot.BLUE)


@BOTH
def test_good_visitors_before_the_log_was_lost_bless_nothing_after_it(world: World, judge: JudgeKind) -> None:
    """Three hundred of them: the rest of the window was not seen."""
    lose_log(world, after_s=30.0)
    world.counters_end_at_s = 0.0
    assert world.deploy(2, settings=watched(judge)) is Outcome.UNBLESSED
    assert verdict_of(world).evidence.requests_count > 100


def test_counters_that_fall_silent_leave_probes(world: World) -> None:
    lose_log(world)
    world.counters_end_at_s = world.now_s + 40.0
    assert world.deploy(2, settings=watched(JudgeKind.THRESHOLDS)) is Outcome.UNBLESSED
    assert [lost.stands_on for lost in events_of(world, SourceLost)] == [StandsOn.COUNTERS, StandsOn.PROBES]


@BOTH
def test_a_site_that_nobody_visits_has_a_log_that_lives(world: World, judge: JudgeKind) -> None:
    """What we left in it was found: silence is not taken for a loss, and little is asked of the site for it."""
    world.requests_per_s = 0
    world.deploy(2, settings=watched(judge))
    assert events_of(world, SourceLost) == []
    assert verdict_of(world).evidence.stands_on is StandsOn.LOG
    assert 0 < world.left_count <= 90 / 15 + 1


def test_a_busy_log_is_asked_nothing(world: World) -> None:
    assert world.deploy(2, settings=watched(JudgeKind.THRESHOLDS)) is Outcome.DONE
    assert world.left_count == 0


def test_lines_that_nobody_can_read_are_no_log(world: World) -> None:
    world.log_is_garbled = True
    assert world.deploy(2, settings=watched(JudgeKind.EVIDENCE)) is Outcome.DONE
    [lost] = events_of(world, SourceLost)
    assert lost.stands_on is StandsOn.COUNTERS
    assert "lines of the access log in a row could not be read" in lost.reason


def test_the_loss_is_told_when_it_happens_and_people_still_see_the_rate(world: World) -> None:
    lose_log(world)
    world.deploy(2, settings=watched(JudgeKind.THRESHOLDS))
    [lost] = events_of(world, SourceLost)
    told = describe_event(lost)
    assert told is not None
    assert "the log is left, the verdict stands on counters" in told
    assert events_of(world, WindowSampled)[-1].candidate_requests_per_s == pytest.approx(10, abs=2)


def test_whoever_may_not_be_asked_is_not_blamed(world: World) -> None:
    """A set `on_undecided` is followed as ever."""
    lose_log(world)
    world.counters_end_at_s = 0.0
    settings = watched(JudgeKind.THRESHOLDS, on_undecided=OnUndecided.BLESS)
    assert world.deploy(2, settings=settings) is Outcome.DONE


def test_evidence_of_an_older_journal_stands_on_the_log() -> None:
    import msgspec

    text = b'{"judgement":"healthy","rule":"r","reason":"","evidence":{"requests_count":3}}'
    assert msgspec.json.decode(text, type=Verdict).evidence.stands_on is StandsOn.LOG


@BOTH
def test_lines_that_come_late_are_not_counted_again(world: World, judge: JudgeKind) -> None:
    """A log that was held up gives back what the counters have told meanwhile."""
    began_s = world.now_s
    lose_log(world, after_s=10.0)
    world.on_wait = lambda world: setattr(
        world, "log_ends_at_s", FOREVER if world.now_s > began_s + 40.0 else began_s + 10.0
    )
    assert world.deploy(2, settings=watched(judge)) is Outcome.DONE
    assert verdict_of(world).evidence.requests_count == pytest.approx(900, abs=30)
