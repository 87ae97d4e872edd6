"""Journeys on the candidate, before any visitor reaches it. Traffic: live slot."""

from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.events import JourneyFailed, JourneyPassed
from celadon.model.journeys import Journey
from celadon.model.names import Slot
from celadon.model.observed import Answer
from celadon.model.place import Place
from celadon.model.plan import Request
from celadon.model.release import Release


def pass_journeys(run: Run) -> Result:
    """Each journey of the candidate's settings, in order, up to the first that fails."""
    for journey in run.plan.settings.journeys:
        if run.asked(Request.ABORT):
            return Result.ABORTED
        place = place_of(run, run.plan.candidate, run.candidate_release())
        answer = run.ports.journeys.ask(journey, place)
        note_answer(run, journey, place, answer)
        if not answer.ok:
            return _fail(run, journey, answer)
    return Result.OK


def place_of(run: Run, slot: Slot, release: Release, *, through_proxy: bool = False) -> Place:
    return Place(slot=slot, address=run.address(slot), release=release, through_proxy=through_proxy)


def note_answer(run: Run, journey: Journey, place: Place, answer: Answer) -> None:
    slot, through_proxy = place.slot, place.through_proxy
    if answer.ok:
        run.note(
            JourneyPassed(journey=journey.name, slot=slot, duration_ms=answer.latency_ms, through_proxy=through_proxy)
        )
        return
    run.note(
        JourneyFailed(
            journey=journey.name,
            slot=slot,
            status=answer.status,
            reason=answer.reason,
            head=answer.head,
            output_tail=answer.output_tail,
            through_proxy=through_proxy,
        )
    )


def _fail(run: Run, journey: Journey, answer: Answer) -> Result:
    slot = run.plan.candidate
    run.blame(
        f"journey {journey.name} on {run.address(slot)}: {answer.reason}",
        code="journey_failed",
        next_command=f"celadon logs --slot {slot}",
    )
    return Result.FAILED
