"""The seam between watching a window and deciding about it. The rule behind it may be replaced whole."""

from collections.abc import Sequence
from typing import Protocol

from celadon.model.observed import Answer, Hit, SlotView
from celadon.model.verdict import Verdict


class Judge(Protocol):
    """Fed in order of time, asked after each feeding. Holds numbers only: no I/O, no clock."""

    def take_share(self, percent: int) -> None:
        """Of the traffic that follows, the candidate gets so many in a hundred; before the first call, all."""
        ...

    def take_traffic(self, hits: Sequence[Hit]) -> None: ...

    def take_probe(self, answer: Answer) -> None:
        """One readiness answer of the candidate."""
        ...

    def take_process(self, view: SlotView) -> None:
        """The candidate's process as just observed."""
        ...

    def judge(self, *, elapsed_s: float, window_s: float) -> Verdict | None:
        """None: keep watching. After `window_s` a verdict is always returned."""
        ...
