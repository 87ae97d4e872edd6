"""Journeys before the switch and all through the window, over a machine in memory."""

from collections import Counter

import pytest
from msgspec.structs import replace

from celadon.events import (
    Blessed,
    JourneyFailed,
    JourneyPassed,
    PostflightRan,
    Step,
    StepEnded,
    SwitchIntended,
    SwitchSeen,
    VerdictReached,
    WindowOpened,
)
from celadon.model.journeys import Journey, JourneyStep
from celadon.model.names import Slot
from celadon.model.plan import Outcome
from celadon.model.settings import JudgeKind, ObserveSettings, Settings, SwitchSettings
from celadon.model.verdict import Judgement
from celadon.sinks.wording import describe_event
from tests.fakes.world import Nature, World, ask_abort, events_of, make_settings
from tests.unit.test_engine import index_of, with_r1


def make_journeys(*names: str) -> tuple[Journey, ...]:
    return tuple(Journey(name=name, steps=(JourneyStep(path="/cart"),)) for name in names)


def with_journeys(*names: str) -> Settings:
    return replace(make_settings(), journeys=make_journeys(*names))


def by_evidence(*names: str, window_s: float = 100.0) -> Settings:
    observe = ObserveSettings(judge=JudgeKind.EVIDENCE, window_s=window_s, max_error_rate=0.05)
    return replace(with_journeys(*names), observe=observe)


@pytest.fixture
def idle() -> World:
    """r1, with a journey of its own, is live in blue, and nobody visits."""
    world = World()
    assert world.deploy(1, settings=with_journeys("old")) is Outcome.DONE
    world.requests_per_s = 0
    world.journeys_asked.clear()
    return world


def test_a_candidate_that_fails_a_journey_is_rejected_and_traffic_never_moves() -> None:
    """Ready as it is; the record has the step and the head of its answer."""
    world = with_r1()
    switches = len(events_of(world, SwitchIntended))
    world.natures[2] = Nature.FAILS_JOURNEY
    assert world.deploy(2, settings=with_journeys("buy", "later")) is Outcome.REJECTED
    assert (world.route, world.runs(Slot.GREEN)) == (Slot.BLUE, False)
    assert len(events_of(world, SwitchIntended)) == switches
    (failed,) = events_of(world, JourneyFailed)
    assert (failed.journey, failed.slot, failed.status, failed.head) == ("buy", Slot.GREEN, 500, "no such table")
    (ended,) = (event for event in events_of(world, StepEnded) if event.result != "ok")
    assert ended.step is Step.VERIFY
    assert ended.reason == "journey buy on 127.0.0.1:8102: step 1, GET /cart: status 500, expected 200"


def test_every_journey_passes_on_the_candidate_before_the_switch() -> None:
    """In the order in which they stand."""
    world = World()
    assert world.deploy(1, settings=with_journeys("buy", "search")) is Outcome.DONE
    passed = [event for event in events_of(world, JourneyPassed) if not event.through_proxy]
    assert [event.journey for event in passed] == ["buy", "search"]
    assert index_of(world, JourneyPassed) < index_of(world, SwitchIntended)


def test_an_abort_between_two_journeys_is_heeded() -> None:
    """A person's word comes first."""
    world = with_r1()
    world.on_journey = ask_abort
    assert world.deploy(2, settings=with_journeys("buy", "search")) is Outcome.REJECTED
    assert [event.journey for event in events_of(world, JourneyPassed)] == ["buy"]
    assert world.route is Slot.BLUE


def test_a_dead_release_of_a_site_that_nobody_visits_is_back_within_five_seconds(idle: World) -> None:
    """Readiness says yes all the while: only the journey knows."""
    idle.natures[2] = Nature.DEAD_WHEN_ROUTED
    assert idle.deploy(2, settings=by_evidence("buy")) is Outcome.ROLLED_BACK
    opened = next(entry.at for entry in reversed(idle.entries) if isinstance(entry.body, WindowOpened))
    reached = next(entry.at for entry in idle.entries if isinstance(entry.body, VerdictReached))
    assert reached - opened <= 5.0
    [verdict] = [event for event in events_of(idle, VerdictReached) if event.judgement is Judgement.BREACH]
    found = verdict.evidence
    assert verdict.rule == "errors"
    assert found.error_evidence == pytest.approx((found.user_evidence + found.journey_evidence) / 2)
    assert idle.route is Slot.BLUE


def test_a_good_release_that_nobody_visits_is_blessed_on_fifty_nine_clean_runs(idle: World) -> None:
    """And not on fewer: a shorter window leaves it to a person."""
    assert idle.deploy(2, settings=by_evidence("buy", window_s=50.0)) is Outcome.UNBLESSED
    assert events_of(idle, VerdictReached)[-1].evidence.journeys_count == 51
    world = with_r1()
    world.requests_per_s = 0
    assert world.deploy(2, settings=by_evidence("buy", window_s=60.0)) is Outcome.DONE
    verdict = events_of(world, VerdictReached)[-1]
    assert (verdict.judgement, verdict.evidence.units_count) == (Judgement.HEALTHY, 0)
    assert verdict.evidence.journeys_count >= 59


def test_without_visitors_and_journeys_nobody_knows_and_the_remedy_is_named(idle: World) -> None:
    """The old slot stays hot."""
    assert idle.deploy(2, settings=by_evidence()) is Outcome.UNBLESSED
    assert (idle.runs(Slot.BLUE), idle.route) == (True, Slot.GREEN)
    ended = events_of(idle, StepEnded)[-1]
    assert "no visitor came" in ended.reason
    assert "[[journeys]] in celadon.toml stand in for visitors" in ended.reason


def test_each_slot_runs_its_own_journeys_the_candidate_through_the_proxy(idle: World) -> None:
    """What only the candidate can do would make the old slot look sick. The old slot runs them twice as often."""
    idle.deploy(2, settings=by_evidence("buy", window_s=20.0))
    asked = Counter(idle.journeys_asked)
    before_the_switch = asked.pop(("buy", Slot.GREEN, False))
    assert (before_the_switch, asked) == (
        1,
        {("buy", Slot.GREEN, True): 21, ("old", Slot.BLUE, False): 41},
    )
    assert idle.open_askings_count == 0


def test_while_a_share_is_held_the_candidate_is_asked_itself(idle: World) -> None:
    """The proxy would send a journey where its client belongs."""
    settings = replace(by_evidence("buy", window_s=1.0), switch=SwitchSettings(steps=(5, 100), hold_s=10.0))
    idle.deploy(2, settings=settings)
    asked = Counter(idle.journeys_asked)
    assert asked["buy", Slot.GREEN, False] == 1 + 11


def test_a_failure_of_the_way_is_told_from_one_of_the_release(idle: World) -> None:
    """The slot itself is asked once more; visitors get the failure all the same, so it goes back."""
    idle.natures[2] = Nature.HIDDEN_BY_PROXY
    assert idle.deploy(2, settings=by_evidence("buy")) is Outcome.ROLLED_BACK
    failed = events_of(idle, JourneyFailed)[0]
    assert failed.through_proxy
    assert failed.reason.endswith("(green itself, past the proxy, passes)")


def test_what_fails_the_journeys_of_both_slots_brings_nothing_back(idle: World) -> None:
    """A database that both need, in trouble after the switch."""
    idle.on_wait = lambda world: setattr(world, "shared_trouble", world.now_s > 5.0)
    assert idle.deploy(2, settings=by_evidence("buy", window_s=30.0)) is Outcome.UNBLESSED
    assert events_of(idle, VerdictReached)[-1].judgement is not Judgement.BREACH


def test_of_many_runs_only_what_changes_is_recorded(idle: World) -> None:
    """The first, three failures of a row, and the recovery."""
    idle.on_wait = lambda world: setattr(world, "shared_trouble", 10.0 < world.now_s < 20.0)
    idle.deploy(2, settings=by_evidence("buy", window_s=30.0))
    noted = [
        type(event).__name__
        for entry in idle.entries
        if isinstance(event := entry.body, JourneyPassed | JourneyFailed)
        and event.through_proxy
        and event.slot is Slot.GREEN
    ]
    assert noted == ["JourneyPassed", *["JourneyFailed"] * 3, "JourneyPassed"]


def test_a_command_is_run_on_the_slot_itself(idle: World) -> None:
    """Its requests could not be told from visitors'."""
    settings = replace(by_evidence(window_s=20.0), journeys=(Journey(name="smoke", command="pytest", every_s=10.0),))
    idle.deploy(2, settings=settings)
    assert [asked for asked in idle.journeys_asked if asked[0] == "smoke"] == [("smoke", Slot.GREEN, False)] * 4


def test_limits_alone_ask_for_no_journeys_in_the_window(idle: World) -> None:
    """They know readiness only."""
    idle.deploy(2, settings=with_journeys("buy"))
    assert idle.journeys_asked == [("buy", Slot.GREEN, False), ("buy", Slot.GREEN, True)]


def test_at_the_end_of_a_deploy_its_journeys_are_run_once_through_the_proxy(idle: World) -> None:
    """After the bless, before the last word."""
    assert idle.deploy(2, settings=with_journeys("buy", "search")) is Outcome.DONE
    postflight = events_of(idle, PostflightRan)[-1]
    assert (postflight.slot, postflight.release, postflight.journeys_count) == (Slot.GREEN, 2, 2)
    assert (postflight.failed, idle.journeys_asked[-2:]) == (
        (),
        [("buy", Slot.GREEN, True), ("search", Slot.GREEN, True)],
    )
    assert index_of(idle, Blessed) < index_of(idle, PostflightRan)


def test_after_a_way_back_the_old_releases_journeys_tell_whether_it_has_helped(idle: World) -> None:
    """Run when the route has moved. A failure is said, and changes nothing: the outcome and the route are the same."""
    idle.natures[2] = Nature.DEAD_WHEN_ROUTED
    idle.natures[1] = Nature.HIDDEN_BY_PROXY
    assert idle.deploy(2, settings=by_evidence("buy")) is Outcome.ROLLED_BACK
    assert (idle.route, idle.runs(Slot.BLUE), idle.runs(Slot.GREEN)) == (Slot.BLUE, True, False)
    postflight = events_of(idle, PostflightRan)[-1]
    assert (postflight.slot, postflight.release, postflight.failed) == (Slot.BLUE, 1, ("old",))
    moved = max(number for number, entry in enumerate(idle.entries) if isinstance(entry.body, SwitchSeen))
    asked = [
        number
        for number, entry in enumerate(idle.entries)
        if isinstance(entry.body, JourneyFailed) and entry.body.slot is Slot.BLUE
    ]
    assert len(asked) == 1
    assert asked[0] > moved
    said = describe_event(postflight)
    assert said is not None
    assert "ATTENTION: r1 in blue has the traffic, and through the proxy fails old" in said


@pytest.mark.parametrize("way", [Nature.GOOD, Nature.DEAD_WHEN_ROUTED])
def test_a_proxy_that_does_not_answer_is_not_asked_at_the_end(idle: World, way: Nature) -> None:
    """At boot recovery comes before the proxy."""
    idle.natures[2] = way
    before = len(events_of(idle, PostflightRan))
    idle.proxy_is_silent = True
    idle.deploy(2, settings=by_evidence("buy"))
    assert len(events_of(idle, PostflightRan)) == before
