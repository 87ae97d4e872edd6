"""Die everywhere around a slot that lives on for its streams, in a world in memory: as it begins, while a deploy needs
its place, on the way back to it, and as it ends.

Afterwards nothing runs that nobody knows of, and nothing that is known of is stopped before its time.
"""

from collections.abc import Callable

import pytest

from celadon.deploy.invariants import find_broken
from celadon.deploy.ledger import read_ledger
from celadon.model.names import Slot
from celadon.model.plan import Outcome
from tests.fakes.world import Died, Nature, World, WorldRunner
from tests.unit.test_engine_drain import stream
from tests.unit.test_engine_lingering import LIMIT_S, lingering, with_lingering_r1

Scenario = Callable[[World], object]
Accident = Callable[[World], None]


def begin(world: World) -> None:
    world.deploy(2, settings=lingering())


def need_the_place(world: World) -> None:
    world.deploy(3, settings=lingering())


def fail_in_the_place(world: World) -> None:
    world.natures[3] = Nature.NEVER_READY
    world.deploy(3, settings=lingering())


def go_back(world: World) -> None:
    world.roll_back_to_lingering()


def end(world: World) -> None:
    world.retire_lingering()


def settle_after_the_limit(world: World) -> None:
    world.now_s += LIMIT_S
    world.settle()


SCENARIOS: tuple[Scenario, ...] = (begin, need_the_place, fail_in_the_place, go_back, end, settle_after_the_limit)


def a_world(scenario: Scenario) -> World:
    if scenario is not begin:
        world = with_lingering_r1()
    else:
        world = World()
        assert world.deploy(1) is Outcome.DONE
        world.left_open = lambda _: [stream(1)]
    world.passed.clear()
    return world


def points_of(scenario: Scenario) -> list[str]:
    world = a_world(scenario)
    scenario(world)
    return world.passed


def kill_at(scenario: Scenario, index: int) -> World:
    world = a_world(scenario)
    world.die_at = index
    with pytest.raises(Died):
        scenario(world)
    world.die_at = None
    return world


def assert_sound(world: World, where: str) -> None:
    """Whatever lives on beside the live slot is known of and in its time; the next deploy works, and so does the end of
    what lingers after that."""
    route = world.proxy_view()
    views = {slot: WorldRunner(world).observe(slot) for slot in Slot}
    broken = find_broken(route, views, lingering=world.lingering)
    assert not broken, f"{where}: {broken}"
    assert world.route is not None, where
    assert world.boot == {world.route}, f"{where}: boot {world.boot}, route {world.route}"
    assert read_ledger(world.entries).unsettled is None, where
    world.natures.clear()
    assert world.deploy(4, settings=lingering()) is Outcome.DONE, where
    world.now_s += LIMIT_S
    assert world.settle(), where
    assert [slot for slot in Slot if world.runs(slot)] == [world.route], where


def live_after(scenario: Scenario, world: World) -> set[int]:
    """What may be live after a death in it."""
    if scenario is begin:
        return {2} if 2 in {*world.blessed, *read_ledger(world.entries).blessed} else {1}
    if scenario is need_the_place:
        return {3} if 3 in {*world.blessed, *read_ledger(world.entries).blessed} else {2}
    return {1} if scenario is go_back else {2}


@pytest.mark.parametrize("reboots", [False, True], ids=["killed", "rebooted"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_death_is_recovered(scenario: Scenario, *, reboots: bool) -> None:
    """By the next operation, whatever it is; a machine that restarts at that instant serves, before anybody has
    recovered anything."""
    for index, name in enumerate(points_of(scenario), start=1):
        world = kill_at(scenario, index)
        where = f"died at {index} {name}"
        began = read_ledger(world.entries).last
        if reboots:
            world.reboot()
            assert world.route is not None, where
            assert world.runs(world.route), f"{where}: {world.route} is routed but not started"
        world.recover()
        world.settle()
        process = world.slots[world.route] if world.route else None
        assert process is not None, where
        asked_back = scenario is not go_back or (began is not None and began.kind == "rollback")
        assert process.release in (live_after(scenario, world) if asked_back else {2}), where
        assert_sound(world, where)


@pytest.mark.parametrize("scenario", SCENARIOS[:4], ids=lambda scenario: scenario.__name__)
def test_a_death_inside_recovery_is_recovered(scenario: Scenario) -> None:
    """At each of its points, after deaths here and there."""
    for index in range(1, len(points_of(scenario)) + 1, 7):
        for at in range(1, 40, 3):
            world = kill_at(scenario, index)
            world.die_in_recovery(at=at)
            world.recover()
            world.settle()
            assert_sound(world, f"died at {index}, then in recovery at {at}")


@pytest.mark.parametrize("scenario", [need_the_place, fail_in_the_place], ids=lambda scenario: scenario.__name__)
def test_streams_live_on_after_a_death_of_a_deploy_that_did_not_yet_need_their_place(scenario: Scenario) -> None:
    """The same process, and the limit that it had."""
    points = points_of(scenario)
    ends = points.index("lingering_ends") + 1
    assert ends > 10
    for index in range(1, ends + 1):
        world = kill_at(scenario, index)
        process, had = world.slots[Slot.BLUE], world.lingering
        world.recover()
        world.settle()
        assert (world.slots[Slot.BLUE], world.lingering) == (process, had), f"died at {index} {points[index - 1]}"
        assert had is not None


def test_streams_live_on_within_their_first_limit_after_a_death_at_the_bless() -> None:
    """Once it was begun, a recovery neither ends it nor begins it anew."""
    points = points_of(begin)
    for index in range(points.index("lingering") + 1, len(points) + 1):
        world = kill_at(begin, index)
        process, had = world.slots[Slot.BLUE], world.lingering
        assert process is not None
        world.now_s += 60.0
        world.recover()
        assert (world.slots[Slot.BLUE], world.lingering) == (process, had), f"died at {index} {points[index - 1]}"
