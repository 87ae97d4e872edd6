"""Die everywhere: at every named point and on both sides of every journal append, then recover, then deploy.

The world is in memory, so that the sweep is complete and quick; tests/crash/test_real_kills.py ends real processes.
"""

from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import replace

from celadon.deploy.invariants import find_broken
from celadon.deploy.ledger import read_ledger
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.plan import OperationKind, Outcome
from celadon.model.processes import Handover, ReleaseCommand, WorkerSettings
from celadon.model.release import Fate
from celadon.model.settings import Settings, Strategy
from tests.fakes.world import Died, Nature, World, WorldRunner, make_settings

Scenario = Callable[[World], None]


def second_deploy(world: World) -> None:
    world.deploy(2)


def sick_deploy(world: World) -> None:
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.deploy(2)


def unready_deploy(world: World) -> None:
    world.natures[2] = Nature.NEVER_READY
    world.deploy(2)


def dying_deploy(world: World) -> None:
    world.natures[2] = Nature.DIES_IN_WINDOW
    world.deploy(2)


def deploy_by_steps(world: World) -> None:
    world.deploy(2, settings=make_settings(steps=(10, 50, 100)))


def sick_by_steps(world: World) -> None:
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.deploy(2, settings=make_settings(steps=(10, 50, 100)))


def restart_of_r1(world: World) -> None:
    plan = world.plan_deploy(1, operation="again")
    world.operate(replace(plan, kind=OperationKind.RESTART, source=None))


WORKERS = (
    WorkerSettings(name="mail", command="mail", handover=Handover.EXCLUSIVE),
    WorkerSettings(name="cron", command="cron", quiet_signal="SIGTSTP"),
)


def with_processes() -> Settings:
    return replace(make_settings(), release=ReleaseCommand(command="migrate"), workers=WORKERS)


def deploy_with_processes(world: World) -> None:
    world.deploy(2, settings=with_processes())


def sick_deploy_with_processes(world: World) -> None:
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    world.deploy(2, settings=with_processes())


WITH_PROCESSES = {deploy_with_processes, sick_deploy_with_processes}
SCENARIOS = (
    second_deploy,
    sick_deploy,
    unready_deploy,
    dying_deploy,
    deploy_by_steps,
    sick_by_steps,
    deploy_with_processes,
    sick_deploy_with_processes,
)


def a_world_with_r1(scenario: Scenario, *, strategy: Strategy = Strategy.SIDE_BY_SIDE) -> World:
    """Its first release has what the second one has."""
    world = World(strategy=strategy)
    assert world.deploy(1, settings=with_processes() if scenario in WITH_PROCESSES else None) is Outcome.DONE
    world.passed.clear()
    return world


def points_of(scenario: Scenario, *, strategy: Strategy = Strategy.SIDE_BY_SIDE) -> list[str]:
    world = a_world_with_r1(scenario, strategy=strategy)
    scenario(world)
    return world.passed


def kill_at(scenario: Scenario, index: int, *, strategy: Strategy = Strategy.SIDE_BY_SIDE) -> World:
    world = a_world_with_r1(scenario, strategy=strategy)
    world.die_at = index
    with pytest.raises(Died):
        scenario(world)
    world.die_at = None
    return world


def assert_sound(world: World, where: str) -> None:
    """I1, I4, I5, I9 after recovery."""
    assert world.route is not None, where
    route = world.proxy_view()
    broken = find_broken(route, {slot: WorldRunner(world).observe(slot) for slot in Slot})
    assert not broken, f"{where}: {broken}"
    assert_workers_sound(world, where)
    assert world.boot == {world.route}, f"{where}: boot {world.boot}, route {world.route}"
    assert read_ledger(world.entries).unsettled is None, where
    world.natures[3] = Nature.GOOD
    assert world.deploy(3) is Outcome.DONE, f"{where}: the next deploy failed"
    assert not world.partial, where
    assert not world.others.running, f"{where}: {world.others.running}"


def assert_workers_sound(world: World, where: str) -> None:
    """Those of the live release run, in its slot and nowhere else, none of them told to begin nothing new; no exclusive
    one was ever beside another."""
    assert world.route is not None, where
    process = world.slots[world.route]
    assert process is not None, where
    wanted = {worker.name: process.release for worker in world.settings_of[process.release].workers}
    assert world.others.in_slot(world.route) == wanted, where
    assert world.others.in_slot(world.route.other) == {}, where
    assert not any(other.is_quiet for other in world.others.running.values()), where
    assert world.others.boot == {(name, world.route): release for name, release in wanted.items()}, where
    assert world.others.doubled == [], where


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_death_is_recovered(scenario: Scenario) -> None:
    """Whatever the instant, one recovery leaves the right release serving and the next deploy works."""
    points = points_of(scenario)
    assert len(points) > 30
    for index, name in enumerate(points, start=1):
        world = kill_at(scenario, index)
        blessed = ReleaseNumber(2) in {*world.blessed, *read_ledger(world.entries).blessed}
        interrupted = read_ledger(world.entries).interrupted is not None
        outcome = world.recover()
        where = f"died at {index} {name}"
        if interrupted:
            assert outcome is Outcome.RECOVERED, where
        process = world.slots[world.route] if world.route else None
        assert process is not None, where
        assert process.release == (2 if blessed else 1), f"{where}: r{process.release} serves"
        assert_sound(world, where)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_death_inside_recovery_is_recovered(scenario: Scenario) -> None:
    """Recovery is as mortal as a deploy: kill it at each of its own points too."""
    step = 11 if scenario in WITH_PROCESSES else 3
    for index in range(1, len(points_of(scenario)) + 1, step):
        inner = 1
        while True:
            world = kill_at(scenario, index)
            world.passed.clear()
            world.die_at = inner
            try:
                world.recover()
            except Died as death:
                world.die_at = None
                world.recover()
                assert_sound(world, f"died at {index}, then in recovery at {inner} {death}")
                inner += 1
                continue
            break


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_reboot_at_any_instant_serves_the_old_or_the_blessed_release(scenario: Scenario) -> None:
    """I8: what is enabled at boot includes what the pointer names, before anybody recovers."""
    for index, name in enumerate(points_of(scenario), start=1):
        world = kill_at(scenario, index)
        world.reboot()
        assert world.route is not None
        assert world.runs(world.route), f"rebooted at {index} {name}: {world.route} is routed but not started"
        world.recover()
        assert_sound(world, f"rebooted at {index} {name}")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_reboot_that_starts_nothing_is_recovered_whole(scenario: Scenario) -> None:
    """Plain processes: no slot runs until recovery starts the one that the route points to."""
    for index, name in enumerate(points_of(scenario), start=1):
        world = kill_at(scenario, index)
        interrupted = read_ledger(world.entries).interrupted is not None
        world.boot.clear()
        world.reboot()
        if interrupted:
            assert world.recover() is Outcome.RECOVERED, f"rebooted at {index} {name}"
            assert_sound(world, f"rebooted at {index} {name}")


def test_every_death_in_a_restart_leaves_the_release_that_was_live() -> None:
    """One slot, one process, in whichever slot; a machine that restarts at that instant has it too."""
    for index, name in enumerate(points_of(restart_of_r1), start=1):
        for reboots in (False, True):
            world = kill_at(restart_of_r1, index)
            if reboots:
                world.reboot()
            world.recover()
            process = world.slots[world.route] if world.route else None
            assert process is not None, name
            assert (process.release, world.fates) == (1, {1: Fate.BLESSED}), name
            assert_sound(world, f"died at {index} {name}")


@pytest.mark.parametrize("scenario", [*SCENARIOS[:4], restart_of_r1], ids=lambda scenario: scenario.__name__)
def test_an_app_that_runs_alone_is_brought_back_from_every_death(scenario: Scenario) -> None:
    """One slot runs afterwards, the routed one, with the old or the blessed release; the world asserts that two never
    did. A machine that restarts at that instant, whatever it starts by itself, ends in the same place; so does a
    recovery that dies."""
    deaths = (partial(World.die_in_recovery, at=at) for at in range(3, 27, 8))
    accidents: tuple[Callable[[World], None], ...] = (World.stay, World.reboot, World.reboot_bare, *deaths)
    for index, name in enumerate(points_of(scenario, strategy=Strategy.STOP_FIRST), start=1):
        for accident in accidents:
            world = kill_at(scenario, index, strategy=Strategy.STOP_FIRST)
            blessed = ReleaseNumber(2) in {*world.blessed, *read_ledger(world.entries).blessed}
            accident(world)
            world.recover()
            world.settle()
            process = world.slots[world.route] if world.route else None
            assert process is not None, name
            assert process.release == (2 if blessed else 1), f"{name}: r{process.release} serves"
            assert_sound(world, f"died at {index} {name}, {accident}")


def test_the_routed_slot_is_up_at_every_point() -> None:
    """I1 holds at every point of a healthy deploy, not only at its ends."""
    world = a_world_with_r1(second_deploy)
    world.deploy(2)
    assert world.unserved_count == 0


def test_a_death_in_the_first_deploy_leaves_no_orphan() -> None:
    """With no older release the route is never left on a slot that was stopped."""
    world = World()
    world.deploy(1)
    for index, name in enumerate(world.passed, start=1):
        dying = World()
        dying.die_at = index
        with pytest.raises(Died):
            dying.deploy(1)
        dying.die_at = None
        dying.recover()
        for slot in Slot:
            assert dying.runs(slot) == (dying.route is slot), f"died at {index} {name}"
        assert dying.deploy(2) is Outcome.DONE, f"died at {index} {name}"
