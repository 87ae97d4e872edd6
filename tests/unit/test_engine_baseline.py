"""The baseline in a deploy: gathered while the old slot is alone, told to the judge, and what follows when the rule
would have gone back from the old slot itself."""

import pytest
from msgspec.structs import replace

from celadon.events import BaselineGathered, CandidateStarting, Step, StepEnded, VerdictReached
from celadon.model.baseline import Baseline, Learned, Minute, RouteCount
from celadon.model.names import Slot
from celadon.model.plan import OperationKind, Outcome
from celadon.model.settings import OnUndecided
from celadon.model.verdict import Judgement
from celadon.observe.latency import find_bucket
from tests.fakes.world import Nature, World, by_evidence, events_of

USUAL = Baseline(minutes=(Minute(0, {"GET /": RouteCount(10_000, 200)}, {}),))
KNOWN = Learned(baseline=USUAL, minutes_count=1, units_count=10_000, bad_units_count=200, rate_bound=0.025)
FICKLE = replace(KNOWN, is_armed=False, trial="in 3 of 40 earlier windows it would have gone back: not armed")


@pytest.fixture
def world() -> World:
    """r1 is live, in blue, and known."""
    world = World(learned=KNOWN)
    assert world.deploy(1) is Outcome.DONE
    return world


def test_a_first_deploy_has_nobody_to_know(world: World) -> None:
    assert events_of(world, BaselineGathered) == []
    assert world.log_is_read_count == 0


def test_the_log_is_read_once_before_anything_of_the_candidate_can_be_in_it(world: World) -> None:
    """And off the way from ready to switched."""
    assert world.deploy(2, settings=by_evidence()) is Outcome.DONE
    kinds = [type(entry.body) for entry in world.entries]
    [second] = [at for at, kind in enumerate(kinds) if kind is BaselineGathered]
    assert kinds[second + 1 :].count(CandidateStarting) == 1
    assert world.log_is_read_count == 1
    [told] = events_of(world, BaselineGathered)
    assert (told.units_count, told.bad_units_count, told.rate_bound) == (10_000, 200, 0.025)


def test_the_judge_tolerates_what_the_live_slot_did(world: World) -> None:
    """Twice the bound of 2 %; the floor alone would be 0.2 %."""
    world.deploy(2, settings=by_evidence())
    evidence = events_of(world, VerdictReached)[-1].evidence
    assert evidence.baseline_rate == pytest.approx(0.0247, abs=0.002)
    assert evidence.tolerated_rate == pytest.approx(2 * (evidence.baseline_rate or 0))


QUICK = Baseline(minutes=(Minute(0, {"GET /": RouteCount(10_000, 0)}, {find_bucket(1.0): 2_000}),))


@pytest.mark.parametrize(("learned", "limits"), [(replace(KNOWN, baseline=QUICK), {}), (None, {"max_p95_s": 0.03})])
def test_a_machine_that_gets_slow_before_the_window_is_told_from_a_slow_release(
    world: World, learned: Learned | None, limits: dict[str, float]
) -> None:
    """What the live slot's readiness took was measured before a build or a start could slow it down. Where no log
    tells of the live slot, and a person's limit is all there is, too."""
    world.learned = learned
    world.requests_per_s = 100

    def slow_down(world: World) -> None:
        world.takes_ms = 50.0 if events_of(world, CandidateStarting)[-1].release == 2 else 1.0

    world.on_wait = slow_down
    assert world.deploy(2, settings=by_evidence(**limits)) is Outcome.UNBLESSED
    assert events_of(world, VerdictReached)[-1].judgement is Judgement.AMBIENT


def test_whoever_goes_back_does_not_wait_for_a_log_to_be_read(world: World) -> None:
    """What was kept is told to the judge all the same, after the switch."""
    world.deploy(2, settings=by_evidence())
    plan = world.plan_deploy(1, operation="back", settings=by_evidence())
    assert world.operate(replace(plan, kind=OperationKind.ROLLBACK, source=None)) is Outcome.DONE
    assert world.log_is_read_count == 1
    assert events_of(world, VerdictReached)[-1].evidence.baseline_rate is not None


def test_evidence_alone_brings_nothing_back_where_it_would_have_brought_back_the_old_slot(world: World) -> None:
    """A person is asked at the window's end, which is not put off, and told why; the old slot stays hot. Nothing that
    is set blesses such a release or takes it back."""
    world.learned = FICKLE
    world.natures[2] = Nature.SICK_AT_TIMES
    for then in OnUndecided:
        settings = by_evidence(max_error_rate=0.6, window_s=10.0, max_window_s=60.0, on_undecided=then)
        world.route = Slot.BLUE
        began_s = world.now_s
        assert world.deploy(2, settings=settings) is Outcome.UNBLESSED
        assert world.runs(Slot.BLUE)
        assert world.now_s - began_s < 15.0
        verdict = events_of(world, VerdictReached)[-1]
        assert (verdict.judgement, verdict.rule) == (Judgement.UNDECIDED, "errors")
        reasons = [body.reason for body in events_of(world, StepEnded) if body.step is Step.OBSERVE]
        assert "evidence" in reasons[-1]
        assert reasons[-1].endswith(FICKLE.trial)


def test_the_same_release_is_taken_back_where_the_rule_is_trusted(world: World) -> None:
    world.natures[2] = Nature.SICK_AT_TIMES
    assert world.deploy(2, settings=by_evidence(max_error_rate=0.6, window_s=10.0)) is Outcome.ROLLED_BACK


@pytest.mark.parametrize(
    ("nature", "max_error_rate", "rule"),
    [
        (Nature.SICK_AT_TIMES, 0.05, "max_error_rate"),
        (Nature.DIES_IN_WINDOW, 0.6, "process"),
        (Nature.SICK_UNDER_TRAFFIC, 0.9, "outage"),
    ],
)
def test_what_somebody_set_and_what_is_plain_lead_back_without_evidence(
    world: World, nature: Nature, max_error_rate: float, rule: str
) -> None:
    world.learned = FICKLE
    world.natures[2] = nature
    settings = by_evidence(max_error_rate=max_error_rate, window_s=30.0)
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert events_of(world, VerdictReached)[-1].rule == rule
