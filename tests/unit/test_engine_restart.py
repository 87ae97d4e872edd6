"""A restart: the live release once more, in the other slot."""

from msgspec.structs import replace

from celadon.deploy.ledger import read_ledger
from celadon.events import Blessed, CandidateKept, ReleaseChosen, ShareSeen, SwitchSeen
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.plan import OperationKind, Outcome
from celadon.model.release import Fate
from tests.fakes.world import Nature, World, events_of, make_settings


def with_r2() -> World:
    world = World()
    assert world.deploy(1) is Outcome.DONE
    assert world.deploy(2) is Outcome.DONE
    world.unserved_count = 0
    return world


def restart(world: World, *, release: int = 2) -> Outcome:
    plan = world.plan_deploy(release, operation=f"re{len(world.entries)}", settings=make_settings(steps=(10, 100)))
    return world.operate(replace(plan, kind=OperationKind.RESTART, source=None))


def test_a_restart_is_the_same_release_in_the_other_slot() -> None:
    """Never built, never without somebody to answer; at once and not by shares, since it is known."""
    world = with_r2()
    old = world.slots[Slot.GREEN]
    assert restart(world) is Outcome.DONE
    assert (world.route, world.runs(Slot.GREEN), world.boot) == (Slot.BLUE, False, {Slot.BLUE})
    new = world.slots[Slot.BLUE]
    assert old is not None
    assert new is not None
    assert (new.release, new.pid != old.pid) == (2, True)
    assert world.unserved_count == 0
    assert events_of(world, ReleaseChosen)[-1].release == 2
    assert events_of(world, Blessed)[-1].release == 2
    assert not events_of(world, ShareSeen)


def test_a_rollback_after_a_restart_goes_to_the_release_before() -> None:
    """The order of what was blessed stays as it was, and both are kept."""
    world = with_r2()
    assert restart(world) is Outcome.DONE
    assert read_ledger(world.entries).blessed == [1, 2]
    assert world.whole == {1, 2}


def test_a_restart_that_is_never_ready_leaves_the_release_as_it_is() -> None:
    """Live, whole and not marked: its variables are those that the old slot needs when it starts again."""
    world = with_r2()
    world.natures[2] = Nature.NEVER_READY
    assert restart(world) is Outcome.REJECTED
    assert (world.route, world.runs(Slot.BLUE)) == (Slot.GREEN, False)
    assert world.fates[ReleaseNumber(2)] is Fate.BLESSED


def test_a_release_without_a_mark_is_not_given_one_by_a_restart_that_fails() -> None:
    """A full disk may have taken no mark at its bless; it serves all the same."""
    world = with_r2()
    del world.fates[ReleaseNumber(2)]
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert restart(world) is Outcome.ROLLED_BACK
    assert [seen.to_slot for seen in events_of(world, SwitchSeen)][-2:] == [Slot.BLUE, Slot.GREEN]
    assert ReleaseNumber(2) not in world.fates
    assert not events_of(world, CandidateKept)
    assert world.unserved_count == 0


def test_an_altered_release_is_not_restarted() -> None:
    """What runs may be good; what lies on the disk is not what was built."""
    world = with_r2()
    world.altered.add(ReleaseNumber(2))
    assert restart(world) is Outcome.REJECTED
    assert world.route is Slot.GREEN
