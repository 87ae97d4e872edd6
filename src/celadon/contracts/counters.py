"""What a proxy counts of its own accord, for when its access log cannot be read."""

from collections.abc import Sequence
from typing import Protocol

from celadon.model.observed import Counted


class Counters(Protocol):
    """Began to count when it was made."""

    def read(self) -> Sequence[Counted] | None:
        """What each slot's visitors were answered since the last call; our own looks may be among them. None when the
        proxy does not tell. Blocks for half a second at most."""
        ...


class NoCounters:
    """Of a proxy that does not count by slot, as nginx: its `stub_status` knows neither slots nor errors."""

    def read(self) -> None: ...
