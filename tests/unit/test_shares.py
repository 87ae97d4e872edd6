"""A candidate that gets the traffic by steps: what is promised of each."""

import contextlib

import pytest

from celadon.deploy.retire import retire
from celadon.events import Repaired, ShareSeen, StepEnded, SwitchSeen, VerdictReached, WindowOpened
from celadon.model.errors import StepError
from celadon.model.names import OperationId, ReleaseNumber, Slot
from celadon.model.observed import RouteView, Split
from celadon.model.plan import OperationKind, Outcome, Plan
from tests.fakes.world import APP, Died, Nature, World, ask_abort, ask_finalize, events_of, make_settings

BY_STEPS = make_settings(steps=(5, 25, 100))


def with_r1() -> World:
    world = World()
    assert world.deploy(1) is Outcome.DONE
    world.entries.clear()
    return world


def percents_of(world: World) -> list[int]:
    return [seen.percent for seen in events_of(world, ShareSeen)]


def test_a_good_release_gets_its_shares_one_after_the_other_and_then_all() -> None:
    """Each is held and watched, the judge is told which it is, and the window follows."""
    world = with_r1()
    assert world.deploy(2, settings=BY_STEPS) is Outcome.DONE
    assert (world.route, world.split) == (Slot.GREEN, None)
    assert percents_of(world) == [5, 25]
    assert [opened.percent for opened in events_of(world, WindowOpened)] == [5, 25, 100]
    assert [opened.window_s for opened in events_of(world, WindowOpened)] == [1.5, 1.5, 2.0]
    assert [reached.evidence.percent for reached in events_of(world, VerdictReached)] == [5, 25, 100]
    assert len(events_of(world, SwitchSeen)) == 1


def test_a_release_that_is_sick_with_a_share_never_gets_more() -> None:
    """The old slot gets all of it back at once, and the outcome is a way back, not a rejection."""
    world = with_r1()
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2, settings=BY_STEPS) is Outcome.ROLLED_BACK
    assert (world.route, world.split) == (Slot.BLUE, None)
    assert percents_of(world) == [5]
    assert [seen.to_slot for seen in events_of(world, SwitchSeen)] == [Slot.BLUE]
    assert not world.runs(Slot.GREEN)


def test_an_abort_while_a_share_is_held_leads_back() -> None:
    """Part of the traffic had moved: a rejection would stop a slot that has visitors."""
    world = with_r1()
    world.on_wait = lambda world: ask_abort(world) if world.split else None
    assert world.deploy(2, settings=BY_STEPS) is Outcome.ROLLED_BACK
    assert (world.route, world.split) == (Slot.BLUE, None)
    assert "recalled" in {ended.result for ended in events_of(world, StepEnded)}


def test_a_finalize_while_a_share_is_held_blesses_at_once() -> None:
    """No more steps and no window: the person has seen enough."""
    world = with_r1()
    world.on_wait = lambda world: ask_finalize(world) if world.split else None
    assert world.deploy(2, settings=BY_STEPS) is Outcome.DONE
    assert percents_of(world) == [5]
    assert [opened.percent for opened in events_of(world, WindowOpened)] == [5]
    assert world.blessed == {1, 2}


def test_a_switch_that_is_refused_after_a_share_leads_back() -> None:
    """The candidate has visitors: it is not rejected, whatever the effect of the last move was."""
    world = with_r1()
    world.refused_route = (Slot.GREEN, 100)
    assert world.deploy(2, settings=BY_STEPS) is Outcome.ROLLED_BACK
    assert (world.route, world.split) == (Slot.BLUE, None)


def test_a_rollback_takes_no_steps() -> None:
    """What is known to be good gets all at once."""
    world = with_r1()
    world.deploy(2)
    world.entries.clear()
    plan = Plan(
        operation=OperationId("back"),
        kind=OperationKind.ROLLBACK,
        app=APP,
        lead="ada",
        candidate=Slot.BLUE,
        live=Slot.GREEN,
        live_release=ReleaseNumber(2),
        settings=BY_STEPS,
        release=ReleaseNumber(1),
    )
    assert world.operate(plan) is Outcome.DONE
    assert (percents_of(world), world.route) == ([], Slot.BLUE)


def test_a_first_deploy_takes_no_steps() -> None:
    """There is nobody to share with."""
    world = World()
    assert world.deploy(1, settings=BY_STEPS) is Outcome.DONE
    assert (percents_of(world), world.route) == ([], Slot.BLUE)


def test_a_share_that_no_operation_gives_is_ended_and_reported() -> None:
    """Somebody moved weights by hand."""
    world = with_r1()
    world.spawn(Slot.GREEN, ReleaseNumber(1))
    world.split = Split(slot=Slot.GREEN, percent=10)
    assert world.settle()
    assert world.proxy_view() == RouteView(slot=Slot.BLUE, seen=True)
    assert [repaired.what for repaired in events_of(world, Repaired)] == ["share_ended", "orphan_stopped"]


def test_a_pointer_that_disagrees_follows_the_running_proxy() -> None:
    """A restart of the proxy then serves what visitors have now."""
    world = with_r1()
    world.disagreement = "the pointer names green, the proxy serves blue"
    assert world.settle()
    assert (world.route, world.disagreement) == (Slot.BLUE, "")
    [repaired] = events_of(world, Repaired)
    assert (repaired.what, repaired.detail) == ("pointer_repaired", "the pointer names green, the proxy serves blue")


def test_a_slot_with_a_share_is_never_retired() -> None:
    """Whatever the plan says: it has visitors."""
    world = with_r1()
    world.spawn(Slot.GREEN, ReleaseNumber(2))
    world.split = Split(slot=Slot.GREEN, percent=5)
    with pytest.raises(StepError) as caught:
        retire(world.start_run(), Slot.GREEN, release=ReleaseNumber(2))
    assert caught.value.code == "slot_is_routed"
    assert world.runs(Slot.GREEN)


def test_a_candidate_that_somebody_gave_a_share_is_not_rejected() -> None:
    """It failed before any switch of ours, yet visitors reach it: a person is told."""
    world = with_r1()
    world.natures[2] = Nature.NEVER_READY
    world.on_wait = lambda world: setattr(world, "split", Split(slot=Slot.GREEN, percent=5))
    assert world.deploy(2) is Outcome.NEEDS_PERSON
    assert world.runs(Slot.GREEN)


def test_recovery_takes_a_share_back_that_the_journal_does_not_know() -> None:
    """The router before the journal: whoever has visitors is not simply stopped."""
    world = with_r1()
    world.die_at = len(world.passed) + 12
    with contextlib.suppress(Died):
        world.deploy(2)
    world.die_at = None
    assert world.route is Slot.BLUE
    world.split = Split(slot=Slot.GREEN, percent=5)
    assert world.recover() is Outcome.RECOVERED
    assert world.proxy_view() == RouteView(slot=Slot.BLUE, seen=True)
    assert "recovered_by_return" in [repaired.what for repaired in events_of(world, Repaired)]
