"""What the journal's events add up to."""

import pytest

from celadon.deploy.ledger import Ledger, read_ledger
from celadon.events import Blessed, Entry, Event, OperationEnded, OperationStarted, Step, StepStarted
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
