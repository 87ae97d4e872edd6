"""What must hold when an operation has ended."""

import pytest

from celadon.deploy.invariants import find_broken
from celadon.model.names import Slot
from celadon.model.observed import RouteView, SlotStatus, SlotView, Split
from celadon.model.plan import Outcome
from tests.fakes.world import World

RUNNING_BLUE = {
    Slot.BLUE: SlotView(slot=Slot.BLUE, status=SlotStatus.RUNNING),
    Slot.GREEN: SlotView(slot=Slot.GREEN, status=SlotStatus.STOPPED),
}
RUNS, IDLE, DEAD = SlotStatus.RUNNING, SlotStatus.STOPPED, SlotStatus.EXITED


@pytest.mark.parametrize(
    ("route", "blue", "green", "broken"),
    [
        (Slot.BLUE, RUNS, IDLE, ""),
        (Slot.BLUE, RUNS, DEAD, ""),
        (None, IDLE, DEAD, ""),
        (Slot.BLUE, DEAD, IDLE, "the proxy routes to blue, where nothing runs"),
        (Slot.BLUE, IDLE, RUNS, "the proxy routes to blue, where nothing runs"),
        (Slot.BLUE, RUNS, RUNS, "green runs, though the proxy does not route to it"),
        (None, RUNS, IDLE, "blue runs, though the proxy does not route to it"),
    ],
)
def test_exactly_the_routed_slot_runs(route: Slot | None, blue: SlotStatus, green: SlotStatus, broken: str) -> None:
    """Each breach in words."""
    views = {slot: SlotView(slot=slot, status=status) for slot, status in ((Slot.BLUE, blue), (Slot.GREEN, green))}
    view = RouteView(slot=route, seen=True)
    assert find_broken(view, views).startswith(broken)
    assert bool(find_broken(view, views)) is bool(broken)


def test_a_share_that_is_still_given_is_told() -> None:
    """An operation that has ended well leaves one slot with all of the traffic."""
    view = RouteView(slot=Slot.BLUE, seen=True, split=Split(slot=Slot.GREEN, percent=5))
    assert find_broken(view, RUNNING_BLUE) == "the proxy still gives green 5 % of the traffic"


def test_a_pointer_that_disagrees_is_told() -> None:
    """In the driver's words."""
    view = RouteView(slot=Slot.BLUE, seen=True, disagreement="the pointer names green, the proxy serves blue")
    assert find_broken(view, RUNNING_BLUE) == view.disagreement


def test_a_deploy_is_not_done_when_what_is_seen_contradicts_it() -> None:
    """The route moved behind our back in the last instant: a person is told, not a success."""
    world = World()
    world.deploy(1)
    passing = world.pass_point

    def meddle(name: str) -> None:
        passing(name)
        if name == "idle":
            world.route = Slot.BLUE

    world.pass_point = meddle  # type: ignore[method-assign]
    assert world.deploy(2) is Outcome.NEEDS_PERSON
