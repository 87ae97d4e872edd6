"""What the engine needs to watch real requests."""

from collections.abc import Sequence
from typing import Protocol

from celadon.model.observed import Hit


class Traffic(Protocol):
    def read(self) -> Sequence[Hit]:
        """Every request logged since the last call, in log order; our own looks are in it, marked. Never blocks.
        Of a burst a few megabytes of log; the next call goes on where this one ended.
        Survives rotation by rename and by truncation. Lines it cannot read are counted in `unreadable_count`,
        not raised."""
        ...

    @property
    def unreadable_count(self) -> int: ...

    def close(self) -> None: ...
