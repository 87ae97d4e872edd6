"""The window by evidence: the old slot asked all through it, how long it is, and what follows when nobody knows."""

import pytest
from msgspec.structs import replace

from celadon.events import SwitchSeen, VerdictReached, WindowExtended, WindowOpened, WindowSampled
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.plan import OperationKind, Outcome
from celadon.model.settings import OnUndecided
from celadon.model.verdict import Judgement
from tests.fakes.world import Nature, World, by_evidence, events_of, make_settings


@pytest.fixture
def world() -> World:
    """r1 is live, in blue."""
    world = World()
    assert world.deploy(1) is Outcome.DONE
    return world


def test_a_good_release_is_blessed_on_the_evidence_of_its_users(world: World) -> None:
    assert world.deploy(2, settings=by_evidence()) is Outcome.DONE
    verdict = events_of(world, VerdictReached)[-1]
    assert verdict.judgement is Judgement.HEALTHY
    assert verdict.evidence.units_count >= 59
    assert verdict.evidence.control_count > 0


def test_the_old_slot_is_asked_all_through_the_window_and_no_longer(world: World) -> None:
    world.deploy(2, settings=by_evidence(window_s=10.0))
    sampled = [body.evidence.control_count for body in events_of(world, WindowSampled)]
    late = sampled[-1]
    assert late >= 9 * world.control_count // 10 > 0
    assert world.control_is_closed


def test_a_release_that_fails_is_taken_back_while_the_old_slot_is_well(world: World) -> None:
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2, settings=by_evidence()) is Outcome.ROLLED_BACK
    assert world.route is Slot.BLUE
    assert world.now_s < 10.0


def test_the_old_slot_is_asked_more_often_while_an_alarm_waits_for_it(world: World) -> None:
    """And not before."""
    world.deploy(2, settings=by_evidence())
    assert not world.control_is_hurried
    world.natures[3] = Nature.SICK_UNDER_TRAFFIC
    world.deploy(3, settings=by_evidence())
    assert world.control_is_hurried


def test_trouble_that_the_old_slot_shares_brings_nothing_back(world: World) -> None:
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.shared_trouble = True
    assert world.deploy(2, settings=by_evidence()) is Outcome.UNBLESSED
    verdict = events_of(world, VerdictReached)[-1]
    assert verdict.judgement is Judgement.AMBIENT
    assert world.runs(Slot.BLUE)


def test_a_window_that_nobody_can_decide_goes_on_up_to_its_maximum(world: World) -> None:
    """Three times five seconds, the last cut off at twelve."""
    outcome = world.deploy(2, settings=by_evidence(window_s=5.0, max_window_s=12.0, max_error_rate=0.0001))
    extended = [body.window_s for body in events_of(world, WindowExtended)]
    assert outcome is Outcome.UNBLESSED
    assert extended == pytest.approx([10.0, 12.0], abs=0.5)


def test_a_window_that_goes_on_ends_as_soon_as_the_release_is_shown_to_be_healthy(world: World) -> None:
    """Too few visitors for the first length; the second is not waited for."""
    assert world.deploy(2, settings=by_evidence(max_window_s=300.0, max_error_rate=0.01)) is Outcome.DONE
    [extended] = events_of(world, WindowExtended)
    decided = events_of(world, VerdictReached)[-1].evidence.elapsed_s
    assert 20.0 < decided < extended.window_s - 5.0


def test_a_window_that_is_decided_does_not_go_on(world: World) -> None:
    assert world.deploy(2, settings=by_evidence(max_window_s=3600.0)) is Outcome.DONE
    assert events_of(world, WindowExtended) == []


@pytest.mark.parametrize(
    ("then", "outcome", "route"),
    [
        (OnUndecided.HOLD, Outcome.UNBLESSED, Slot.GREEN),
        (OnUndecided.BLESS, Outcome.DONE, Slot.GREEN),
        (OnUndecided.ROLLBACK, Outcome.ROLLED_BACK, Slot.BLUE),
    ],
)
def test_what_follows_when_nobody_knows_is_set(world: World, then: OnUndecided, outcome: Outcome, route: Slot) -> None:
    settings = by_evidence(window_s=2.0, on_undecided=then, max_error_rate=0.0001)
    assert world.deploy(2, settings=settings) is outcome
    assert world.route is route


def test_a_first_deploy_has_nothing_to_compare_with_and_is_watched_twice_as_long() -> None:
    world = World()
    world.deploy(1, settings=by_evidence(window_s=10.0))
    [opened] = events_of(world, WindowOpened)
    assert (opened.window_s, world.control_count) == (20.0, 0)


def test_the_old_slot_is_asked_what_its_own_release_answers(world: World) -> None:
    """A path that only the candidate has would make the old slot look sick."""
    settings = by_evidence(window_s=1.0)
    world.deploy(2, settings=replace(settings, readiness=replace(settings.readiness, path="/new")))
    assert [(slot, readiness.path) for slot, readiness in world.asked_on] == [(Slot.BLUE, "/")]


def test_an_old_release_that_cannot_be_read_is_not_asked_and_brings_nothing_back(world: World) -> None:
    world.on_wait = lambda world: world.whole.discard(ReleaseNumber(1))
    assert world.deploy(2, settings=by_evidence()) is Outcome.DONE
    assert world.control_count == 0


def test_shared_trouble_is_not_blessed_by_itself(world: World) -> None:
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.shared_trouble = True
    assert world.deploy(2, settings=by_evidence(on_undecided=OnUndecided.BLESS)) is Outcome.UNBLESSED


def test_who_goes_back_is_not_sent_forth_again_by_an_undecided_window(world: World) -> None:
    """A person left that release; a window without visitors is no reason to return to it."""
    world.deploy(2)
    settings = by_evidence(window_s=2.0, on_undecided=OnUndecided.ROLLBACK, max_error_rate=0.0001)
    plan = replace(world.plan_deploy(1, operation="back", settings=settings), kind=OperationKind.ROLLBACK, source=None)
    assert world.operate(plan) is Outcome.UNBLESSED
    assert world.route is Slot.BLUE


def test_a_candidate_that_was_started_again_since_the_switch_is_taken_back(world: World) -> None:
    world.on_wait = lambda world: setattr(world, "restarts_count", len(events_of(world, SwitchSeen)) - 1)
    assert world.deploy(2, settings=by_evidence()) is Outcome.ROLLED_BACK
    assert events_of(world, VerdictReached)[-1].rule == "restarts"


def test_what_was_started_again_before_the_switch_and_runs_since_is_not(world: World) -> None:
    """A first start that found its database asleep: the count that systemd keeps is not the window's."""
    world.restarts_count = 2
    assert world.deploy(2, settings=by_evidence()) is Outcome.DONE
    assert events_of(world, VerdictReached)[-1].evidence.restarts_count == 0


def test_memory_that_is_about_to_end_keeps_the_old_slot_hot(world: World) -> None:
    """Nobody goes back for it, and nothing is blessed."""
    world.on_wait = lambda world: setattr(world, "rss_bytes", int((1 << 26) + world.now_s * (100 << 20)))
    assert world.deploy(2, settings=by_evidence(window_s=90.0)) is Outcome.UNBLESSED
    verdict = events_of(world, VerdictReached)[-1]
    assert verdict.judgement is Judgement.UNDECIDED
    assert "grows 6000.0 MiB a minute" in verdict.reason
    assert world.runs(Slot.BLUE)


def test_nothing_is_blessed_before_the_candidate_has_answered_once(world: World) -> None:
    """It answered before the switch; what it does with visitors is another matter."""
    world.silent_until_s = world.now_s + 1.5
    assert world.deploy(2, settings=make_settings(window_s=0.5)) is Outcome.DONE
    evidence = events_of(world, VerdictReached)[-1].evidence
    assert evidence.probes_count > 0
    assert evidence.elapsed_s >= 0.9


def test_nothing_is_blessed_while_its_answer_is_overdue(world: World) -> None:
    world.on_wait = fall_silent
    assert world.deploy(2, settings=make_settings(window_s=4.0)) is Outcome.DONE
    assert events_of(world, VerdictReached)[-1].evidence.elapsed_s == pytest.approx(5.0, abs=0.3)


def fall_silent(world: World) -> None:
    """From the second second of the window to its fifth."""
    opened = events_of(world, SwitchSeen)[1:]
    began_s = next((entry.at for entry in world.entries if entry.body in opened), world.now_s)
    if 2.0 <= world.now_s - began_s < 4.9:
        world.silent_until_s = began_s + 5.0


def test_a_question_that_nobody_answers_any_more_does_not_hold_a_window_open_for_ever(world: World) -> None:
    """The longest that an answer may take, and a second."""
    world.silent_until_s = float("inf")
    world.requests_per_s = 1
    assert world.deploy(2, settings=make_settings(window_s=0.5)) is Outcome.UNBLESSED
    assert events_of(world, VerdictReached)[-1].evidence.elapsed_s < 4.0


def test_between_a_breach_and_the_way_back_the_journal_is_written_to_once(world: World) -> None:
    """Each write waits for the disk, and visitors with it."""
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.passed.clear()
    assert world.deploy(2) is Outcome.ROLLED_BACK
    verdict, moved = world.passed.index("verdict"), len(world.passed) - world.passed[::-1].index("before_pointer")
    began = verdict - world.passed[verdict::-1].index("mid_window")
    written = [name for name in world.passed[began:moved] if name.startswith("before_append_")]
    assert written == ["before_append_StepStarted"]
    bodies = [type(entry.body).__name__ for entry in world.entries]
    at = bodies.index("VerdictReached", bodies.index("VerdictReached") + 1)
    assert bodies[at : at + 3] == ["VerdictReached", "StepEnded", "StepStarted"]


def test_on_the_way_back_the_old_slot_is_asked_what_its_own_release_answers(world: World) -> None:
    """As all through the window: it would be left where it is for a path that only the candidate has."""
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    settings = make_settings()
    settings = replace(settings, readiness=replace(settings.readiness, path="/new"))
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert [(slot, readiness.path) for slot, readiness in world.asked_on] == [(Slot.BLUE, "/")]


def test_the_log_is_read_many_times_between_two_looks_at_the_process(world: World) -> None:
    """Five visitors in half a second show that it fails."""
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    settings = make_settings(window_s=30.0)
    settings = replace(settings, observe=replace(settings.observe, interval_s=20.0))
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert events_of(world, VerdictReached)[-1].evidence.elapsed_s < 1.0
