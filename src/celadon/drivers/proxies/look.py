"""Looking through the proxy: who answers, by the route's own word, on a fresh connection each time."""

import time
from collections.abc import Callable

from msgspec import Struct

from celadon.model.names import Slot

_PAUSE_S = 0.0005
_UNSEEN_PAUSE_S = 0.002
_LEAST_LOOK_S = 1.0
_SERVER_ERRORS_FROM = 500
_SICK_S = 1.0
"""A slot that is reached and gives nothing but server errors for so long will not be waited for: visitors get them."""


class Sight(Struct, frozen=True, kw_only=True):
    """One look. `slot` None: the route named none, or nothing answered (then `status` is None too).
    `worker` is the process that answered, `config` the generation of rendered text it runs with."""

    slot: Slot | None
    status: int | None = None
    detail: str = ""
    worker: int | None = None
    config: str = ""

    @property
    def is_fine(self) -> bool:
        return self.status is not None and self.status < _SERVER_ERRORS_FROM

    @property
    def is_error(self) -> bool:
        return self.status is not None and self.status >= _SERVER_ERRORS_FROM

    def answered_by(self, slot: Slot) -> bool:
        return self.slot is slot and self.is_fine

    def failed_by(self, slot: Slot) -> bool:
        return self.slot is slot and self.is_error


Look = Callable[[float], Sight]
"""One look within so many seconds. Never raises for what the proxy or the app does."""


class Watched(Struct, frozen=True, kw_only=True):
    """`first_at_s` is the monotonic instant of the first answer by the wanted slot of the run that held,
    `last` the last sight."""

    held: bool
    first_at_s: float
    last: Sight


def watch_until(
    look: Look,
    wanted: Callable[[Sight], bool],
    *,
    sick: Callable[[Sight], bool] = lambda _: False,
    count: int,
    timeout_s: float,
) -> Watched:
    """Looks until `count` in a row are as `wanted`, or until `timeout_s` has passed with a look
    that is not, or until for a second they were `sick` and nothing else. Takes at least one look; one of a run that has
    begun may take a second longer."""
    deadline = time.monotonic() + timeout_s
    in_a_row = 0
    first_at_s = 0.0
    sick_from_s: float | None = None
    while True:
        sight = look(max(_LEAST_LOOK_S, deadline - time.monotonic()))
        seen_at_s = time.monotonic()
        if not sick(sight):
            sick_from_s = None
        elif sick_from_s is None:
            sick_from_s = seen_at_s
        elif seen_at_s - sick_from_s >= _SICK_S:
            return Watched(held=False, first_at_s=first_at_s, last=sight)
        if wanted(sight):
            first_at_s = first_at_s if in_a_row else seen_at_s
            in_a_row += 1
        else:
            in_a_row = 0
        if in_a_row >= count or (not in_a_row and seen_at_s >= deadline):
            return Watched(held=in_a_row >= count, first_at_s=first_at_s, last=sight)
        if not in_a_row:
            time.sleep(_UNSEEN_PAUSE_S)


def wait_until(happened: Callable[[], bool], *, timeout_s: float, pause_s: float = _PAUSE_S) -> bool:
    """Whether it happened before the deadline. Asks at least once."""
    deadline = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause_s)
    return True
