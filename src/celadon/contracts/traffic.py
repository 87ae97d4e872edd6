"""What the engine needs to watch real requests."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from celadon.model.observed import Hit


class Traffic(Protocol):
    def read(self) -> Sequence[Hit]:
        """Every request logged since the last call, in log order; our own looks are in it, marked. Never blocks.
        Of a burst a few megabytes of log; the next call goes on where this one ended.
        Survives rotation by rename and by truncation. Lines it cannot read are counted in `unreadable_count`,
        not raised."""
        ...

    def past(self, *, since_s: float, is_over: Callable[[], bool]) -> Iterator[Iterable[tuple[float, Hit]]]:
        """Requests that are logged already and were made after `since_s`, some earlier ones perhaps among them, with
        the second since the epoch of each; looks are in it, marked. In parts, the newest part first, each lazily in
        log order. `is_over` is asked often, and ends it."""
        ...

    @property
    def unreadable_count(self) -> int: ...

    def close(self) -> None: ...
