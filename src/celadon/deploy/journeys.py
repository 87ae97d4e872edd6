"""Journeys on the candidate, before any visitor reaches it. Traffic: live slot."""

from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.events import JourneyFailed, JourneyPassed
from celadon.model.journeys import Journey
from celadon.model.names import Slot
from celadon.model.observed import Answer
from celadon.model.plan import Request


def pass_journeys(run: Run) -> Result:
    """Each journey of the candidate's settings, in order, up to the first that fails."""
    for journey in run.plan.settings.journeys:
        if run.asked(Request.ABORT):
            return Result.ABORTED
        answer = ask_journey(run, journey, run.plan.candidate)
        if not answer.ok:
            return _fail(run, journey, answer)
    return Result.OK


def ask_journey(run: Run, journey: Journey, slot: Slot) -> Answer:
    """One journey on one slot, recorded."""
    answer = run.ports.journeys.ask(journey, run.address(slot))
    if answer.ok:
        run.note(JourneyPassed(journey=journey.name, slot=slot, duration_ms=answer.latency_ms))
    else:
        run.note(
            JourneyFailed(journey=journey.name, slot=slot, status=answer.status, reason=answer.reason, head=answer.head)
        )
    return answer


def _fail(run: Run, journey: Journey, answer: Answer) -> Result:
    slot = run.plan.candidate
    run.blame(
        f"journey {journey.name} on {run.address(slot)}: {answer.reason}",
        code="journey_failed",
        next_command=f"celadon logs --slot {slot}",
    )
    return Result.FAILED
