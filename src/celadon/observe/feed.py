"""What a judge was given since it was last asked."""

from collections.abc import Sequence

from celadon.model.observed import Answer, Counted, Hit, HostView, SlotView


class Feed:
    """What came since the last question."""

    __slots__ = ("control", "counts", "hits", "hosts", "journeys", "probes", "views")

    def __init__(self) -> None:
        self.control: list[tuple[str, Answer]] = []
        self.views: list[SlotView] = []
        self.hosts: list[HostView] = []
        self.probes: list[Answer] = []
        self.journeys: list[tuple[str, Answer]] = []
        self.counts: list[Sequence[Counted]] = []
        self.hits: list[Sequence[Hit]] = []
