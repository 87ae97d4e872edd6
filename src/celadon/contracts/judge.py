"""The seam between watching a window and deciding about it. The rule behind it may be replaced whole."""

from collections.abc import Sequence
from typing import Protocol

from celadon.model.baseline import Baseline
from celadon.model.names import Slot
from celadon.model.observed import Answer, Counted, Hit, HostView, SlotView
from celadon.model.settings import ObserveSettings
from celadon.model.verdict import Evidence, StandsOn, Verdict


class Judge(Protocol):
    """Fed in order of time, asked after each feeding. Holds numbers only: no I/O, no clock. What was fed since the last
    question counts as seen at the time of the next; how it was cut into feedings at one time changes nothing."""

    def take_baseline(self, baseline: Baseline | None, *, is_armed: bool = True, pace_ms: float | None = None) -> None:
        """How the old slot did before the switch, None where no log tells. Before everything else, or not at all (a
        first deploy). Not armed:
        likelihood alone (model.verdict.BY_EVIDENCE) leads nowhere back; what would have is told at the window's end,
        as undecided. `pace_ms` is what the old slot's readiness took before anything was done to the machine."""
        ...

    def take_share(self, percent: int) -> None:
        """Of the traffic that follows, the candidate gets so many in a hundred; before the first call, all. Below a
        hundred the old slot's visitors are the control too."""
        ...

    def take_traffic(self, hits: Sequence[Hit]) -> None: ...

    def take_counts(self, counts: Sequence[Counted]) -> None:
        """Visitors of whom no line of a log tells. Never of those that `take_traffic` had."""
        ...

    def take_stand(self, stands_on: StandsOn, *, reason: str) -> None:
        """From now on this is what tells of visitors, in the place of what `reason` says can no longer be read."""
        ...

    def take_probe(self, answer: Answer) -> None:
        """One readiness answer of the candidate."""
        ...

    def take_journey(self, answer: Answer, *, name: str = "") -> None:
        """One run of a journey on the candidate; `name` tells the journeys apart."""
        ...

    def take_control(self, answer: Answer, *, journey: str = "") -> None:
        """One answer of the old slot, asked all through the window: to readiness, or a run of that journey of its own
        release."""
        ...

    def take_process(self, view: SlotView) -> None:
        """The candidate's process as just observed; its `restarts_count` are those since the switch."""
        ...

    def take_host(self, view: HostView) -> None:
        """The machine, observed after the process was."""
        ...

    def needs_control(self) -> bool:
        """An alarm of the last question waits for more answers of the old slot."""
        ...

    def evidence(self) -> Evidence:
        """What was known at the last question. Decides nothing."""
        ...

    def judge(self, *, elapsed_s: float, window_s: float) -> Verdict | None:
        """None: keep watching. After `window_s` a verdict is always returned. A question with a longer window may
        follow one that nobody could decide; a release is then blessed as soon as it is shown to be healthy."""
        ...


class MakeJudge(Protocol):
    def __call__(self, settings: ObserveSettings, candidate: Slot, *, journeys: bool) -> Judge:
        """`journeys`: the candidate runs some all through the window."""
        ...
