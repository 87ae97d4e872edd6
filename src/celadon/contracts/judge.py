"""The seam between watching a window and deciding about it. The rule behind it may be replaced whole."""

from collections.abc import Sequence
from typing import Protocol

from celadon.model.baseline import Baseline
from celadon.model.observed import Answer, Counted, Hit, HostView, SlotView
from celadon.model.verdict import Evidence, StandsOn, Verdict


class Judge(Protocol):
    """Fed in order of time, asked after each feeding. Holds numbers only: no I/O, no clock. What was fed since the last
    question counts as seen at the time of the next; how it was cut into feedings at one time changes nothing."""

    def take_baseline(self, baseline: Baseline) -> None:
        """How the old slot did before the switch. Before everything else, or not at all (a first deploy)."""
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

    def take_journey(self, answer: Answer) -> None:
        """One run of a journey on the candidate."""
        ...

    def take_control(self, answer: Answer) -> None:
        """One answer of the old slot: the same question that the candidate gets, asked all through the window."""
        ...

    def take_process(self, view: SlotView) -> None:
        """The candidate's process as just observed; its `restarts_count` are those since the switch."""
        ...

    def take_host(self, view: HostView) -> None:
        """The machine, observed after the process was."""
        ...

    def evidence(self) -> Evidence:
        """What was known at the last question. Decides nothing."""
        ...

    def judge(self, *, elapsed_s: float, window_s: float) -> Verdict | None:
        """None: keep watching. After `window_s` a verdict is always returned. A question with a longer window may
        follow one that nobody could decide."""
        ...
