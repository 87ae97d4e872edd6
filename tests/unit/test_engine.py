"""The five steps over a machine in memory: what is promised of traffic, slots and the record."""

import pytest
from msgspec.structs import replace

from celadon.events import (
    CandidateKept,
    CandidateUnready,
    Event,
    HookRan,
    SlotStopped,
    Step,
    StepEnded,
    StepStarted,
    SwitchIntended,
    SwitchSeen,
    VerdictReached,
)
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.plan import Outcome
from celadon.model.release import Fate
from celadon.model.settings import BlessMode
from tests.fakes.world import Nature, World, ask_abort, events_of, make_settings


def with_r1() -> World:
    world = World()
    assert world.deploy(1) is Outcome.DONE
    return world


def index_of(world: World, kind: type[Event]) -> int:
    return next(index for index, entry in enumerate(world.entries) if isinstance(entry.body, kind))


def test_a_good_release_takes_over_and_the_old_one_is_retired() -> None:
    """Done: the candidate serves, the other slot is empty, boot follows."""
    world = with_r1()
    assert world.deploy(2) is Outcome.DONE
    assert world.route is Slot.GREEN
    assert not world.runs(Slot.BLUE)
    assert world.boot == {Slot.GREEN}
    assert world.blessed == {1, 2}


def test_a_release_that_is_never_ready_is_rejected_before_any_switch() -> None:
    """Traffic never moved, and the record says why with the app's last lines."""
    world = with_r1()
    world.natures[2] = Nature.NEVER_READY
    assert world.deploy(2) is Outcome.REJECTED
    assert world.route is Slot.BLUE
    assert not world.runs(Slot.GREEN)
    assert events_of(world, CandidateUnready)[0].log_tail == ("boom",)
    assert len(events_of(world, SwitchIntended)) == 1


def test_a_release_that_exits_is_rejected_at_once() -> None:
    """No waiting for the deadline when the process is gone."""
    world = with_r1()
    began_s = world.now_s
    world.natures[2] = Nature.EXITS
    assert world.deploy(2) is Outcome.REJECTED
    assert world.now_s - began_s < 1.0


def test_errors_under_traffic_bring_the_old_release_back() -> None:
    """A breach moves the route back first and stops the candidate after."""
    world = with_r1()
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2) is Outcome.ROLLED_BACK
    assert world.route is Slot.BLUE
    assert not world.runs(Slot.GREEN)
    assert [seen.to_slot for seen in events_of(world, SwitchSeen)][-2:] == [Slot.GREEN, Slot.BLUE]
    assert world.unserved_count == 0


def test_a_hook_that_only_tells_is_never_the_reason() -> None:
    """A failed post_switch is recorded; what brought the old release back is the breach."""
    world = with_r1()
    world.failing_hook = "post_switch"
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2) is Outcome.ROLLED_BACK
    assert [ran.exit_code for ran in events_of(world, HookRan)] == [1]
    reasons = {body.step: body.reason for body in events_of(world, StepEnded)}
    assert reasons[Step.OBSERVE].startswith("max_error_rate")


@pytest.mark.parametrize("hook", ["pre_deploy", "pre_switch"])
def test_a_hook_that_decides_rejects(hook: str) -> None:
    """Before any switch, and it is named."""
    world = with_r1()
    world.failing_hook = hook
    assert world.deploy(2) is Outcome.REJECTED
    assert f"hook {hook} `./hook` exited with 1" in {body.reason for body in events_of(world, StepEnded)}


def test_a_failed_release_is_kept_until_the_next_deploy() -> None:
    """For inspection: marked as failed, and gone when the next one is made."""
    world = with_r1()
    world.natures[2] = Nature.NEVER_READY
    world.deploy(2)
    assert (world.whole, world.fates[ReleaseNumber(2)]) == ({1, 2}, Fate.FAILED)
    assert events_of(world, CandidateKept)[0].release == 2
    world.deploy(3)
    assert world.whole == {1, 3}


def test_a_process_that_dies_in_the_window_brings_the_old_release_back() -> None:
    """The candidate's death is seen within one interval."""
    world = with_r1()
    world.natures[2] = Nature.DIES_IN_WINDOW
    assert world.deploy(2) is Outcome.ROLLED_BACK
    assert world.route is Slot.BLUE


def test_an_answer_from_another_process_is_a_no() -> None:
    """Identity: something else listening on the slot's address does not make the candidate ready."""
    world = with_r1()
    world.wrong_listener = True
    assert world.deploy(2) is Outcome.REJECTED
    assert "not from the process" in events_of(world, CandidateUnready)[0].reason


def test_a_switch_the_proxy_refused_leaves_traffic_alone() -> None:
    """Effect none: rejected, not rolled back."""
    world = with_r1()
    world.proxy_refuses = True
    assert world.deploy(2) is Outcome.REJECTED
    assert world.route is Slot.BLUE


def test_a_switch_that_was_not_seen_goes_back() -> None:
    """The route may have moved: it is put back, and seen to be back."""
    world = with_r1()
    world.proxy_moves_unseen = True
    assert world.deploy(2) is Outcome.ROLLED_BACK
    assert world.route is Slot.BLUE


def test_a_candidate_that_dies_between_ready_and_switch_never_gets_traffic() -> None:
    """Readiness is asked once more in the instant before the switch."""
    world = with_r1()
    world.passed.clear()
    world.ready_until = "after_enable"
    assert world.deploy(2) is Outcome.REJECTED
    assert len(events_of(world, SwitchIntended)) == 1


def test_a_routed_slot_is_never_stopped_whatever_the_plan_says() -> None:
    """A proxy that went back behind our back keeps its slot: a person is asked."""
    world = with_r1()
    passing = world.pass_point

    def meddle(name: str) -> None:
        passing(name)
        if name == "old_disabled":
            world.route = Slot.BLUE

    world.pass_point = meddle  # type: ignore[method-assign]
    assert world.deploy(2) is Outcome.NEEDS_PERSON
    assert world.runs(Slot.BLUE)


def test_an_altered_release_is_refused_before_anything_starts() -> None:
    """A rollback target that is not what was built never gets a process."""
    world = with_r1()
    world.deploy(2)
    world.altered.add(ReleaseNumber(1))
    plan = world.plan_deploy(1, operation="back")
    assert world.operate(replace(plan, source=None)) is Outcome.REJECTED
    assert world.route is Slot.GREEN


def test_the_old_slot_is_stopped_when_its_last_connection_has_ended() -> None:
    """Not before, and nothing is cut."""
    world = with_r1()
    world.downloads_end_at_s = world.now_s + 10.0
    assert world.deploy(2) is Outcome.DONE
    assert events_of(world, SlotStopped)[-1].cut_count == 0
    assert world.now_s >= world.downloads_end_at_s


def test_what_outlasts_the_drain_is_cut_and_counted() -> None:
    """A drain ends at its timeout; the number is told, not hidden."""
    world = with_r1()
    world.downloads_end_at_s = world.now_s + 1e6
    began_s = world.now_s
    settings = make_settings()
    assert world.deploy(2) is Outcome.DONE
    assert events_of(world, SlotStopped)[-1].cut_count == 1
    assert settings.drain.timeout_s <= world.now_s - began_s < settings.drain.timeout_s + 10.0


def test_manual_bless_ends_with_the_old_slot_hot() -> None:
    """Healthy but waiting: nobody retires the old slot without being told to."""
    world = with_r1()
    assert world.deploy(2, settings=make_settings(bless=BlessMode.MANUAL)) is Outcome.UNBLESSED
    assert world.route is Slot.GREEN
    assert world.runs(Slot.BLUE)
    assert world.boot == {Slot.BLUE, Slot.GREEN}


def test_an_abort_in_the_window_returns() -> None:
    """Safe at any step: after the switch the route goes back."""
    world = with_r1()
    world.on_wait = lambda world: ask_abort(world) if world.route is Slot.GREEN else None
    assert world.deploy(2) is Outcome.ROLLED_BACK
    assert world.route is Slot.BLUE


def test_an_abort_before_the_switch_rejects() -> None:
    """Safe at any step: before the switch only the candidate goes."""
    world = with_r1()
    world.on_wait = ask_abort
    world.natures[2] = Nature.NEVER_READY
    assert world.deploy(2) is Outcome.REJECTED
    assert world.route is Slot.BLUE
    assert not events_of(world, CandidateUnready)


def test_a_full_journal_at_the_switch_record_keeps_the_old_release() -> None:
    """The pivot is never passed without its intent on disk."""
    world = with_r1()
    fill_at(world, "before_append_SwitchIntended")
    world.deploy(2)
    assert world.route is Slot.BLUE
    assert world.unserved_count == 0


def test_a_full_journal_after_the_switch_still_brings_traffic_back() -> None:
    """Going back does not need the journal."""
    world = with_r1()
    fill_at(world, "before_append_SwitchSeen")
    world.deploy(2)
    assert world.route is Slot.BLUE
    assert not world.runs(Slot.GREEN)


def fill_at(world: World, point: str) -> None:
    """The disk is full from `point` on, until the engine has ended."""
    world.passed.clear()
    passing = world.pass_point

    def fill(name: str) -> None:
        passing(name)
        if name == point:
            world.journal_is_full = True
        if name == "before_append_OperationEnded":
            world.journal_is_full = False

    world.pass_point = fill  # type: ignore[method-assign]


def test_intent_comes_before_effect() -> None:
    """The record of the switch's intent is older than that of its being seen, and each step's start than its end."""
    world = with_r1()
    assert index_of(world, SwitchIntended) < index_of(world, SwitchSeen)
    steps = [body.step.value for body in events_of(world, StepStarted)]
    assert steps == ["prepare", "verify", "switch", "observe", "finalize"]
    assert [body.step.value for body in events_of(world, StepEnded)] == steps


def test_no_traffic_is_judged_by_probes_and_recorded_as_such() -> None:
    """A verdict always carries its evidence."""
    world = with_r1()
    world.deploy(2)
    verdict = events_of(world, VerdictReached)[-1]
    assert verdict.evidence.probes_count > 0
