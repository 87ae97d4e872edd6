"""What the engine needs to know how the live slot did."""

from typing import Protocol

from celadon.model.baseline import Learned


class Baselines(Protocol):
    """None: the judge has no use for it. Neither raises: what could not be read or kept is a `problem` of the
    answer."""

    def gather(self) -> Learned | None:
        """What the access log says joined with what was kept, and kept. Blocks for a few seconds at most."""
        ...

    def recall(self) -> Learned | None:
        """What was kept. At once."""
        ...


class NoBaselines:
    """For a judge that knows no history."""

    def gather(self) -> None:
        return None

    def recall(self) -> None:
        return None
