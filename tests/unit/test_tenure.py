"""Whose traffic may be called usual: the slot's that was live for good."""

import pytest

from celadon.deploy.tenure import read_tenures
from celadon.events import Blessed, Event, JournalRebuilt, SiteAdopted, SiteEjected, SwitchIntended
from celadon.model.baseline import Tenure
from celadon.model.names import OperationId, ReleaseNumber, Slot
from celadon.model.plan import Outcome
from tests.fakes.world import Nature, World, by_evidence, make_settings


@pytest.fixture
def world() -> World:
    """r1 is live, in blue, since a while."""
    world = World()
    assert world.deploy(1) is Outcome.DONE
    world.now_s += 100.0
    return world


def times_of(world: World, kind: type[object]) -> list[float]:
    return [entry.at for entry in world.entries if isinstance(entry.body, kind)]


def slots_of(world: World) -> list[Slot]:
    return [tenure.slot for tenure in read_tenures(world.entries)]


def test_a_slot_is_live_for_good_from_the_bless_to_the_next_switch(world: World) -> None:
    """Nobody's are the seconds of a window, though it ended well."""
    world.deploy(2)
    [first_blessed_s, second_blessed_s], [_, left_s] = times_of(world, Blessed), times_of(world, SwitchIntended)
    assert left_s < second_blessed_s
    assert read_tenures(world.entries) == [
        Tenure(slot=Slot.BLUE, since_s=first_blessed_s, until_s=left_s),
        Tenure(slot=Slot.GREEN, since_s=second_blessed_s),
    ]


def test_a_window_that_was_taken_back_is_nobodys_and_the_old_slot_goes_on_after_it(world: World) -> None:
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2, settings=by_evidence()) is Outcome.ROLLED_BACK
    before, after = read_tenures(world.entries)
    assert (before.slot, after.slot) == (Slot.BLUE, Slot.BLUE)
    assert before.until_s == times_of(world, SwitchIntended)[-1]
    assert after.since_s == world.entries[-1].at == world.now_s


def test_a_candidate_that_nobody_blessed_is_not_live_for_good_until_a_person_says_so(world: World) -> None:
    world.deploy(2, settings=by_evidence(window_s=2.0, max_error_rate=0.0001))
    assert world.route is Slot.GREEN
    assert read_tenures(world.entries)[-1].until_s < world.now_s
    plan = world.plan_deploy(2, operation="yes")
    world.ports(plan.operation).journal.append(Blessed(slot=Slot.GREEN, release=ReleaseNumber(2)))
    assert slots_of(world) == [Slot.BLUE, Slot.GREEN]


def test_a_deploy_that_never_moved_traffic_ends_nobodys_tenure(world: World) -> None:
    world.natures[2] = Nature.NEVER_READY
    world.deploy(2)
    [only] = read_tenures(world.entries)
    assert (only.slot, only.since_s) == (Slot.BLUE, times_of(world, Blessed)[0])


def test_the_hold_of_a_share_is_nobodys(world: World) -> None:
    """The old slot answers the rest of the clients then, and may be in trouble because of the candidate."""
    world.deploy(2, settings=make_settings(steps=(25, 100)))
    before, after = read_tenures(world.entries)
    assert before.until_s < after.since_s - 1.5


@pytest.mark.parametrize(
    ("event", "slots"),
    [
        (SiteAdopted(slot=Slot.GREEN, release=ReleaseNumber(1), wheres=(), files=()), [Slot.BLUE, Slot.GREEN]),
        (SiteEjected(slot=Slot.BLUE, address="", files=()), [Slot.BLUE]),
        (JournalRebuilt(set_aside=None, route=Slot.GREEN, releases=()), [Slot.BLUE, Slot.GREEN]),
    ],
)
def test_what_else_changes_who_is_live(world: World, event: Event, slots: list[Slot]) -> None:
    world.ports(OperationId("other")).journal.append(event)
    assert slots_of(world) == slots
