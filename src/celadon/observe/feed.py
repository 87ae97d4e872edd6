"""What a judge was given since it was last asked."""

from collections.abc import Sequence

from celadon.model.observed import Answer, Hit, SlotView


class Feed:
    """What came since the last question."""

    __slots__ = ("control", "hits", "journeys", "probes", "views")

    def __init__(self) -> None:
        self.control: list[tuple[str, Answer]] = []
        self.views: list[SlotView] = []
        self.probes: list[Answer] = []
        self.journeys: list[tuple[str, Answer]] = []
        self.hits: list[Sequence[Hit]] = []
