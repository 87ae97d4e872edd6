"""The release command over a machine in memory: once in each new release, before the candidate starts."""

import pytest
from msgspec.structs import replace

from celadon.events import CandidateStarted, ReleaseCommandRan
from celadon.model.names import Slot
from celadon.model.plan import Outcome
from celadon.model.processes import RELEASE, ReleaseCommand
from celadon.model.settings import Settings
from tests.fakes.world import Died, World, ask_abort, events_of, make_settings


def with_command(timeout_s: float = 600.0) -> Settings:
    return replace(make_settings(), release=ReleaseCommand(command="migrate", timeout_s=timeout_s))


def with_r1() -> World:
    world = World()
    assert world.deploy(1) is Outcome.DONE
    return world


def test_it_runs_once_in_the_new_release_and_leaves_nothing() -> None:
    """In the candidate's slot, before the candidate; its last lines are in the record, all of it beside the tree."""
    world = with_r1()
    assert world.deploy(2, settings=with_command()) is Outcome.DONE
    assert world.others.done == [("start", RELEASE, Slot.GREEN), ("stop", RELEASE, Slot.GREEN)]
    [ran] = events_of(world, ReleaseCommandRan)
    assert (ran.exit_code, ran.reason, ran.output_tail) == (0, "", ("migrating", "no such column"))
    assert world.outputs == {2: ("migrating", "no such column")}
    order = [type(entry.body) for entry in world.entries]
    assert order.index(ReleaseCommandRan) < len(order) - 1 - order[::-1].index(CandidateStarted)


def test_a_failure_rejects_with_its_last_line() -> None:
    """The candidate never starts, traffic never moves."""
    world = with_r1()
    world.others.release_exit_code = 3
    assert world.deploy(2, settings=with_command()) is Outcome.REJECTED
    assert (world.route, world.runs(Slot.GREEN)) == (Slot.BLUE, False)
    assert [started.release for started in events_of(world, CandidateStarted)] == [1]
    assert world.reason() == "the release command `migrate` exited with 3: no such column"


def test_one_that_does_not_end_is_ended_at_its_deadline() -> None:
    """And rejected, whatever it might have said later."""
    world = with_r1()
    world.others.release_takes_s = 100.0
    began_s = world.now_s
    assert world.deploy(2, settings=with_command(timeout_s=5.0)) is Outcome.REJECTED
    assert world.now_s - began_s < 6.0
    assert world.others.running == {}
    assert "was not done within 5 s" in world.reason()


def test_an_abort_ends_it() -> None:
    """At once."""
    world = with_r1()
    world.others.release_takes_s = 100.0
    world.on_wait = lambda world: ask_abort(world) if world.others.running else None
    assert world.deploy(2, settings=with_command()) is Outcome.REJECTED
    assert world.others.running == {}
    assert events_of(world, ReleaseCommandRan)[0].reason == "was aborted"


def test_a_release_that_was_made_before_has_had_its_turn() -> None:
    """A rollback builds nothing and migrates nothing."""
    world = with_r1()
    assert world.deploy(2, settings=with_command()) is Outcome.DONE
    plan = world.plan_deploy(1, operation="back", settings=with_command())
    assert world.operate(replace(plan, source=None)) is Outcome.DONE
    assert world.others.names("start") == [(RELEASE, Slot.GREEN)]


def test_a_death_in_the_middle_of_it_leaves_nothing_running() -> None:
    """Recovery ends it before anybody deploys again."""
    for point in ("release_command_started", "release_command_ended"):
        world = with_r1()
        count = World()
        count.deploy(1)
        count.passed.clear()
        count.deploy(2, settings=with_command())
        world.passed.clear()
        world.die_at = count.passed.index(point) + 1
        with pytest.raises(Died):
            world.deploy(2, settings=with_command())
        world.die_at = None
        assert world.recover() is Outcome.RECOVERED
        assert (world.others.running, world.route) == ({}, Slot.BLUE)
