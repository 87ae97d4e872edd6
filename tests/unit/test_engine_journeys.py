"""Journeys in the verify step, over a machine in memory."""

from msgspec.structs import replace

from celadon.events import JourneyFailed, JourneyPassed, Step, StepEnded, SwitchIntended
from celadon.model.journeys import Journey, JourneyStep
from celadon.model.names import Slot
from celadon.model.plan import Outcome
from celadon.model.settings import Settings
from tests.fakes.world import Nature, World, ask_abort, events_of, make_settings
from tests.unit.test_engine import index_of, with_r1


def with_journeys(*names: str) -> Settings:
    journeys = tuple(Journey(name=name, steps=(JourneyStep(path="/cart"),)) for name in names)
    return replace(make_settings(), journeys=journeys)


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
    assert [event.journey for event in events_of(world, JourneyPassed)] == ["buy", "search"]
    assert index_of(world, JourneyPassed) < index_of(world, SwitchIntended)


def test_an_abort_between_two_journeys_is_heeded() -> None:
    """A person's word comes first."""
    world = with_r1()
    world.on_journey = ask_abort
    assert world.deploy(2, settings=with_journeys("buy", "search")) is Outcome.REJECTED
    assert [event.journey for event in events_of(world, JourneyPassed)] == ["buy"]
    assert world.route is Slot.BLUE
