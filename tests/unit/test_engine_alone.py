"""An app that cannot run twice: one is stopped before the other starts, and never do two run.

The world asserts at every point that no two slots run at once."""

from msgspec.structs import replace

from celadon.events import BootDisabled, CandidateStarting, ServedAgain, SlotStopped, StandingDown
from celadon.model.names import Slot
from celadon.model.plan import OperationKind, Outcome
from celadon.model.settings import Strategy
from tests.fakes.world import Nature, World, by_evidence, events_of


def alone() -> World:
    world = World(strategy=Strategy.STOP_FIRST)
    assert world.deploy(1) is Outcome.DONE
    assert not events_of(world, StandingDown)
    world.entries.clear()
    return world


def index_of(world: World, kind: type[object]) -> int:
    return next(index for index, entry in enumerate(world.entries) if isinstance(entry.body, kind))


def test_what_is_live_ends_before_the_candidate_starts() -> None:
    """It is said that it will before it does, and how long nobody served."""
    world = alone()
    world.slow_stop_s = 2.5
    assert world.deploy(2) is Outcome.DONE
    assert (world.route, world.runs(Slot.BLUE), world.boot) == (Slot.GREEN, False, {Slot.GREEN})
    assert index_of(world, StandingDown) < index_of(world, SlotStopped) < index_of(world, CandidateStarting)
    [again] = events_of(world, ServedAgain)
    assert (again.slot, again.down_s >= 2.5) == (Slot.GREEN, True)


def test_a_candidate_that_is_never_ready_gives_the_place_back() -> None:
    """Rejected, the old release runs again, starts at boot, and the downtime is told."""
    world = alone()
    world.natures[2] = Nature.NEVER_READY
    assert world.deploy(2) is Outcome.REJECTED
    process = world.slots[Slot.BLUE]
    assert process is not None
    assert (process.release, world.route, world.boot) == (1, Slot.BLUE, {Slot.BLUE})
    [again] = events_of(world, ServedAgain)
    assert again.slot is Slot.BLUE
    assert again.down_s >= world.make_settings().readiness.deadline_s - 1.0


def test_a_sick_candidate_ends_before_the_old_release_starts_again() -> None:
    """Both times that nobody served are told."""
    world = alone()
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2) is Outcome.ROLLED_BACK
    assert (world.route, world.runs(Slot.GREEN), world.boot) == (Slot.BLUE, False, {Slot.BLUE})
    assert [again.slot for again in events_of(world, ServedAgain)] == [Slot.GREEN, Slot.BLUE]


def test_where_the_old_release_does_not_start_again_the_candidate_does() -> None:
    """A sick answer is better than none; a person is asked."""
    world = alone()
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.on_wait = lambda world: world.natures.update({1: Nature.EXITS})
    assert world.deploy(2) is Outcome.NEEDS_PERSON
    process = world.slots[Slot.GREEN]
    assert process is not None
    assert (process.release, world.route, world.runs(Slot.BLUE)) == (2, Slot.GREEN, False)


def test_a_failure_before_anything_was_stopped_costs_no_time() -> None:
    """A hook that refuses, a build that fails: the old release has never ended."""
    world = alone()
    world.failing_hook = "pre_deploy"
    pid = world.slots[Slot.BLUE]
    assert world.deploy(2) is Outcome.REJECTED
    assert world.slots[Slot.BLUE] is pid
    assert world.boot == {Slot.BLUE}
    assert not events_of(world, ServedAgain)


def test_the_old_slot_is_no_control_where_it_does_not_run() -> None:
    """What does not answer because it was stopped would make every failure a shared one."""
    world = alone()
    settings = replace(by_evidence(), switch=world.make_settings().switch)
    assert world.deploy(2, settings=settings) in {Outcome.DONE, Outcome.UNBLESSED}
    assert world.control_count == 0


def test_a_restart_of_such_an_app_stops_it_too() -> None:
    """There is no other way to start it afresh."""
    world = alone()
    plan = replace(world.plan_deploy(1, operation="re"), kind=OperationKind.RESTART, source=None)
    assert world.operate(plan) is Outcome.DONE
    assert (world.route, world.runs(Slot.BLUE)) == (Slot.GREEN, False)
    assert len(events_of(world, ServedAgain)) == 1


def test_an_orphan_ends_before_the_routed_slot_starts() -> None:
    """Nothing is open, the wrong slot runs: it is in the way."""
    world = alone()
    world.slots[Slot.BLUE] = None
    world.spawn(Slot.GREEN, world.last_release[Slot.BLUE])
    assert world.settle()
    assert (world.runs(Slot.BLUE), world.runs(Slot.GREEN), world.boot) == (True, False, {Slot.BLUE})
    assert events_of(world, BootDisabled)[-1].slot is Slot.GREEN
    assert world.proxy_view().slot is Slot.BLUE
