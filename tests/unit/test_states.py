"""The graph of states, walked whole."""

from celadon.deploy.loop import STEPS
from celadon.deploy.states import ARROWS, Result
from celadon.events import Step
from celadon.model.plan import Outcome


def reachable(start: Step) -> set[Step | Outcome]:
    seen: set[Step | Outcome] = set()
    todo: list[Step | Outcome] = [start]
    while todo:
        state = todo.pop()
        if state not in seen:
            seen.add(state)
            todo += [target for (source, _), target in ARROWS.items() if source is state]
    return seen


def test_every_step_can_succeed_and_fail() -> None:
    """No step lacks an arrow for going well or badly, so the loop cannot meet a hole."""
    for step in Step:
        assert (step, Result.OK) in ARROWS
        assert (step, Result.FAILED) in ARROWS


def test_every_step_has_one_function() -> None:
    """States are data, and each is carried out somewhere."""
    assert set(STEPS) == set(Step)


def test_nothing_leads_back_after_the_bless() -> None:
    """From finalize neither reject nor return can be reached."""
    assert reachable(Step.FINALIZE).isdisjoint({Step.REJECT, Step.RETURN, Outcome.ROLLED_BACK, Outcome.REJECTED})


def test_the_candidate_is_never_rejected_while_it_may_have_traffic() -> None:
    """Reject does not move the route, so it must not be reachable once the window is open."""
    assert Step.REJECT not in reachable(Step.OBSERVE)
    assert ARROWS[Step.SWITCH, Result.UNSEEN] is Step.RETURN
    assert ARROWS[Step.SWITCH, Result.RECALLED] is Step.RETURN
    assert ARROWS[Step.SWITCH, Result.BREACH] is Step.RETURN


def test_every_walk_ends() -> None:
    """No cycle: a step never leads, through others, to itself."""
    for step in Step:
        following = {target for (source, _), target in ARROWS.items() if source is step}
        for target in following:
            assert not isinstance(target, Step) or step not in reachable(target)
