"""What the journal's events add up to."""

import pytest

from celadon.deploy.ledger import Ledger, read_ledger
from celadon.events import (
    Blessed,
    CandidateStarting,
    Entry,
    Event,
    LingeringBegan,
    OperationEnded,
    OperationStarted,
    SiteEjected,
    SlotStopped,
    Step,
    StepStarted,
    SwitchSeen,
)
from celadon.model.connections import KindCounts
from celadon.model.lingering import Lingering
from celadon.model.names import AppName, OperationId, ReleaseNumber, Slot
from celadon.model.plan import OperationKind, Outcome


def fold(*bodies: Event) -> Ledger:
    return read_ledger(
        Entry(sequence=number, operation=OperationId("op"), app=AppName("shop"), at=0.0, body=body)
        for number, body in enumerate(bodies, 1)
    )


STARTED = OperationStarted(
    kind=OperationKind.DEPLOY,
    lead="ada",
    pid=1,
    candidate=Slot.GREEN,
    live=Slot.BLUE,
    live_release=ReleaseNumber(1),
    release=ReleaseNumber(2),
    source=None,
)


def ended(outcome: Outcome) -> OperationEnded:
    return OperationEnded(outcome=outcome, reason="", code="", next_command=None, route=Slot.GREEN)


@pytest.mark.parametrize("step", [Step.RETURN, Step.REJECT])
def test_a_way_back_that_failed_is_still_to_be_gone(step: Step) -> None:
    """A machine that shuts down ends the old slot before the operation: the boot tries again."""
    ledger = fold(STARTED, StepStarted(step=step), ended(Outcome.NEEDS_PERSON))
    assert ledger.interrupted is not None
    assert ledger.unblessed is None


def test_a_way_forward_that_failed_after_the_bless_is_still_to_be_gone() -> None:
    """The disk was full: the old slot waits to be retired."""
    blessed = Blessed(slot=Slot.GREEN, release=ReleaseNumber(2))
    ledger = fold(STARTED, StepStarted(step=Step.FINALIZE), blessed, ended(Outcome.NEEDS_PERSON))
    assert ledger.interrupted is not None


@pytest.mark.parametrize("outcome", [Outcome.UNBLESSED, Outcome.NEEDS_PERSON])
def test_a_deploy_that_waits_for_a_person_is_not_interrupted(outcome: Outcome) -> None:
    """Recovery must not decide in the person's place."""
    ledger = fold(STARTED, StepStarted(step=Step.OBSERVE), ended(outcome))
    assert ledger.interrupted is None
    assert ledger.unblessed is not None


def test_an_operation_without_a_last_word_is_interrupted() -> None:
    """It died."""
    assert fold(STARTED, StepStarted(step=Step.PREPARE)).interrupted is not None


def test_an_operation_that_ended_well_leaves_nothing_open() -> None:
    """Nothing to recover, nothing to finalize."""
    ledger = fold(STARTED, StepStarted(step=Step.FINALIZE), ended(Outcome.DONE))
    assert ledger.unsettled is None


LINGERS = LingeringBegan(
    slot=Slot.BLUE, release=ReleaseNumber(1), left=KindCounts(streams_count=3), since_s=5.0, limit_s=60.0
)


def test_a_slot_lingers_until_its_end_is_told() -> None:
    """What is stopped in the other slot, and operations that end elsewhere, do not concern it."""
    other = SlotStopped(slot=Slot.GREEN, release=None, cut_count=0, killed=False, duration_s=0.0)
    lingering = fold(STARTED, LINGERS, ended(Outcome.DONE), other).lingering
    assert lingering == Lingering(slot=Slot.BLUE, release=ReleaseNumber(1), since_s=5.0, limit_s=60.0, until_at=60.0)


@pytest.mark.parametrize(
    "event",
    [
        SlotStopped(slot=Slot.BLUE, release=None, cut_count=0, killed=False, duration_s=0.0),
        CandidateStarting(slot=Slot.BLUE, release=ReleaseNumber(3), address=""),
        SwitchSeen(to_slot=Slot.BLUE, to_release=ReleaseNumber(1), moved_ms=0.1, seen_ms=0.1, settled_ms=0.1),
        OperationEnded(outcome=Outcome.NEEDS_PERSON, route=Slot.BLUE),
        SiteEjected(slot=Slot.GREEN, address="", files=()),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_slot_lingers_no_more_when_something_else_is_so(event: Event) -> None:
    """Stopped, needed, routed to again, given back."""
    assert fold(STARTED, LINGERS, event).lingering is None
