"""The last look: the journeys of whoever has the traffic, once each, the way that visitors come. Decides nothing.

It runs when everything else is done. After a way back it tells whether that has helped; what it finds is said and
recorded, and moves no route: there is no third release to go to."""

import contextlib

from celadon.deploy.journeys import note_answer, place_of
from celadon.deploy.run import Run
from celadon.events import PostflightRan
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot


def run_postflight(run: Run, slot: Slot, number: ReleaseNumber) -> None:
    """Blocks for the journeys' timeouts at most. Nothing where there are none, where the release cannot be read, or
    where the proxy does not answer (this may be the boot, before it)."""
    with contextlib.suppress(StepError, OSError):
        release = run.ports.releases.read(number)
        journeys = release.manifest.settings.journeys
        if not journeys or not run.ports.proxy.observe().seen:
            return
        place = place_of(run, slot, release, through_proxy=True)
        failed = []
        for journey in journeys:
            answer = run.ports.journeys.ask(journey, place)
            note_answer(run, journey, place, answer)
            if not answer.ok:
                failed.append(journey.name)
        run.note(PostflightRan(slot=slot, release=number, journeys_count=len(journeys), failed=tuple(failed)))
