"""When which slot was live for good, by the journal: what a baseline may count.

A line of the access log names its slot, but not whether anybody trusted it. What a candidate answers in its window is
not usual until it is blessed, and in a window that ends otherwise it never is. So from the intent to switch until the
bless, or the end of the way back, nothing counts, of neither slot: the old one's visitors are those of a share then.
"""

from collections.abc import Iterable, Sequence

from celadon.events import (
    Blessed,
    Entry,
    JournalRebuilt,
    OperationEnded,
    SiteAdopted,
    SiteEjected,
    StandingDown,
    SwitchIntended,
)
from celadon.model.baseline import Tenure
from celadon.model.names import Slot
from celadon.model.plan import Outcome

_BACK = (Outcome.ROLLED_BACK, Outcome.RECOVERED, Outcome.REJECTED)
"""Ends after which the route is again what it was, or what recovery found."""


def read_tenures(entries: Iterable[Entry]) -> Sequence[Tenure]:
    """Fold entries, oldest first. The last one may go on."""
    found: list[Tenure] = []
    now: Slot | None = None
    before: Slot | None = None
    since_s = 0.0
    for entry in entries:
        then, before = _follow(entry.body, now, before)
        if then is now:
            continue
        if now is not None:
            found.append(Tenure(slot=now, since_s=since_s, until_s=entry.at))
        now, since_s = then, entry.at
    if now is not None:
        found.append(Tenure(slot=now, since_s=since_s))
    return found


def _follow(body: object, now: Slot | None, before: Slot | None) -> tuple[Slot | None, Slot | None]:
    """Who is live for good after `body`, and to whom a way back would lead."""
    match body:
        case SwitchIntended() | StandingDown():
            return None, now or before
        case Blessed(slot=slot) | SiteAdopted(slot=slot):
            return slot, slot
        case SiteEjected():
            return None, None
        case JournalRebuilt(route=route):
            return route, route
        case OperationEnded(outcome=outcome, route=route) if now is None and outcome in _BACK:
            return route if route is not None else before, before
        case _:
            return now, before
