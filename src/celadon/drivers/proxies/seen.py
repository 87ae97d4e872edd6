"""From looks to the word on a switch; and the pointer way, which is the same for every proxy that reads a pointer."""

import time
from collections.abc import Callable
from pathlib import Path

from celadon.drivers.proxies.look import Watched
from celadon.host.pointer import is_pointed, move_pointer
from celadon.model.names import Slot
from celadon.model.observed import Effect, Switched


def switch_by_pointer(
    pointer: Path,
    to: Slot,
    *,
    percent: int = 100,
    reached: Callable[[str], None],
    rests: Callable[[], bool],
    watch: Callable[[], Watched],
) -> Switched:
    """One rename, then what the proxy shows. `rests`: the proxy does not run."""
    started_at_s = time.monotonic()
    reached("before_pointer")
    try:
        if not is_pointed(pointer, to, percent=percent):
            move_pointer(pointer, to, percent=percent)
    except OSError as error:
        effect = Effect.UNKNOWN if is_pointed(pointer, to, percent=percent) else Effect.NONE
        return Switched(to=to, seen=False, effect=effect, reason=f"the pointer could not be moved: {error}")
    moved_at_s = time.monotonic()
    reached("after_pointer")
    if rests():
        return say_at_rest(to, moved_ms=(moved_at_s - started_at_s) * 1000)
    return say_switched(to, watch(), started_at_s=started_at_s, moved_at_s=moved_at_s)


def say_at_rest(to: Slot, *, moved_ms: float) -> Switched:
    """The proxy does not run."""
    reason = "the proxy does not run; it will start with this route"
    return Switched(to=to, seen=False, effect=Effect.AT_REST, moved_ms=moved_ms, reason=reason)


def say_switched(
    to: Slot, watched: Watched, *, started_at_s: float, moved_at_s: float, first_at_s: float | None = None
) -> Switched:
    """`first_at_s`: the first answer of `to`, where it was seen before the watch began. Instants are monotonic."""
    moved_ms = (moved_at_s - started_at_s) * 1000
    if not watched.held:
        effect = Effect.MOVED if watched.last.slot is to else Effect.UNKNOWN
        reason = f"not seen through the proxy: {watched.last.detail}"
        return Switched(to=to, seen=False, effect=effect, moved_ms=moved_ms, reason=reason)
    return Switched(
        to=to,
        seen=True,
        effect=Effect.MOVED,
        moved_ms=moved_ms,
        seen_ms=((first_at_s or watched.first_at_s) - started_at_s) * 1000,
        settled_ms=(time.monotonic() - started_at_s) * 1000,
    )
