"""Journeys all through the window: the candidate's on the candidate, the old release's own on the old slot.

While all visitors get the candidate its journeys go through the proxy: that is what visitors meet, the release and
the way to it. One that fails there is run on the slot itself once, to tell which of the two it is. While a share is
held the proxy decides by client where a request goes, so the candidate is asked itself. A command is always run on the
slot itself: its requests could not be told from visitors', unless the app's own code were given the mark that tells
them. The old slot has no way but the direct one, and never runs what only the candidate may know.
"""

from msgspec.structs import replace

from celadon.contracts.asking import Asking
from celadon.contracts.journeys import Journeys
from celadon.contracts.judge import Judge
from celadon.deploy.alone import runs_alone
from celadon.deploy.journeys import note_answer, place_of
from celadon.deploy.run import Run
from celadon.model.errors import StepError
from celadon.model.journeys import Journey
from celadon.model.observed import WHOLE, Answer
from celadon.model.place import Place
from celadon.model.release import Release
from celadon.model.settings import JudgeKind

_CONTROL_TIMES = 2
"""The old slot runs its journeys so many times as often: that a failure is the candidate's is shown by how often the
old slot passes meanwhile. With one a second of each an outage is sure after six failures, with two after four."""
_NOTED_IN_A_ROW = 3
_NOTED_LIMIT = 20


class RunningJourneys:
    """`old` is what runs in the old slot, where that is a control."""

    def __init__(self, run: Run, *, old: Release | None, percent: int) -> None:
        own, control = _find_own(run, percent=percent), _find_old(run, old)
        self._candidate = [_Running(run, journey, place) for journey, place in own]
        self._old = [_Running(run, journey, place, times=_CONTROL_TIMES) for journey, place in control]

    @property
    def are_any(self) -> bool:
        """Of the candidate."""
        return bool(self._candidate)

    def feed(self, judge: Judge) -> None:
        """What has ended since the last call. Never blocks. A proxy that takes no connection is recorded, and no fault
        of the candidate's."""
        for running in self._old:
            for answer in running.take():
                judge.take_control(answer, journey=running.journey.name)
        for running in self._candidate:
            for answer in running.take():
                if not (answer.refused and running.place.through_proxy):
                    judge.take_journey(answer, name=running.journey.name)

    def hurry_control(self) -> None:
        for running in self._old:
            running.hurry()

    def close(self) -> None:
        """Never blocks."""
        for running in (*self._candidate, *self._old):
            running.close()


class _Running:
    """One journey in one place. What is recorded are changes: the first answer, a few failures of a row, and its
    end."""

    def __init__(self, run: Run, journey: Journey, place: Place, *, times: int = 1) -> None:
        self.journey, self.place = journey, place
        self._run = run
        self._asking: Asking = run.ports.keep_asking(
            lambda: run_once(run.ports.journeys, journey, place), interval_s=journey.every_s / times
        )
        self._failed_in_a_row_count = self._noted_count = 0
        self._is_first = True

    def take(self) -> list[Answer]:
        answers = list(self._asking.take())
        for answer in answers:
            if self._is_news(answer) and self._noted_count < _NOTED_LIMIT:
                self._noted_count += 1
                note_answer(self._run, self.journey, self.place, answer)
        return answers

    def _is_news(self, answer: Answer) -> bool:
        recovers, first = self._failed_in_a_row_count > 0, self._is_first
        self._failed_in_a_row_count = 0 if answer.ok else self._failed_in_a_row_count + 1
        self._is_first = False
        return first or recovers if answer.ok else self._failed_in_a_row_count <= _NOTED_IN_A_ROW

    def hurry(self) -> None:
        self._asking.hurry()

    def close(self) -> None:
        self._asking.close()


def run_once(journeys: Journeys, journey: Journey, place: Place) -> Answer:
    """A failure through the proxy says whether the slot itself fails too, where the proxy gave an answer at all."""
    answer = journeys.ask(journey, place)
    if answer.ok or not place.through_proxy or answer.status is None:
        return answer
    direct = journeys.ask(journey, replace(place, through_proxy=False))
    told = f"{place.slot} itself, past the proxy, passes" if direct.ok else f"{place.slot} itself: {direct.reason}"
    return replace(answer, reason=f"{answer.reason} ({told})")


def find_old_release(run: Run) -> Release | None:
    """What runs in the old slot, where that is a control. A release that cannot be read is none, which is no reason to
    go back."""
    old = run.plan.live_release
    if (
        run.plan.live is None
        or runs_alone(run)
        or old is None
        or run.plan.settings.observe.judge is JudgeKind.THRESHOLDS
    ):
        return None
    try:
        return run.ports.releases.read(old)
    except StepError:
        return None


def _find_own(run: Run, *, percent: int) -> list[tuple[Journey, Place]]:
    settings = run.plan.settings
    if not settings.journeys or settings.observe.judge is JudgeKind.THRESHOLDS:
        return []
    slot, release, whole = run.plan.candidate, run.candidate_release(), percent == WHOLE
    return [
        (journey, place_of(run, slot, release, through_proxy=whole and not journey.command))
        for journey in settings.journeys
    ]


def _find_old(run: Run, release: Release | None) -> list[tuple[Journey, Place]]:
    if release is None:
        return []
    place = place_of(run, run.plan.candidate.other, release)
    return [(journey, place) for journey in release.manifest.settings.journeys]
