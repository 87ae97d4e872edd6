"""How long a switch takes to be seen, beside the bare operation, turn by turn in one run."""

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from bench.prober import Seen
from bench.proxies.families import MARKS, Family
from bench.proxies.rows import Row, measure_rows
from bench.proxies.stand import Stand, StandError, open_stand
from bench.tables import Table, spread
from celadon.model.names import Slot

_APART_S, _RELOADS_APART_S = 0.06, 0.25
_Move = tuple[Slot, float]
"""To whom, decided at which monotonic second."""


def measure_latency(families: Sequence[Family], *, switches: int) -> Table:
    def measure(family: Family) -> Iterator[Row]:
        with open_stand(family.open) as stand:
            few = switches // 2 if family.reloads else switches
            yield _row(family, *_measure(family, stand, switches=few))

    head = (
        "proxy, way",
        "first new ms",
        "mark",
        "last old ms",
        "bare",
        "first new ms (bare)",
        "last old ms (bare)",
        "ratio",
    )
    note = (
        f"{switches} switches each, half as many of those that reload. "
        "Median / maximum, from the decision to the first answer of the new slot, and to the last request sent "
        "that the old one still answered; asked on one fresh connection after the other. *Bare*: the operation "
        "alone, by hand, every second pair of switches of the same run. A driver's reload has its check before "
        "it."
    )
    return Table(title="How long a switch takes", head=head, rows=measure_rows(families, measure), note=note)


def _measure(family: Family, stand: Stand, *, switches: int) -> tuple[Seen, list[_Move], list[_Move]]:
    move_bare = family.bare.prepare(stand)
    stand.switch(Slot.BLUE)
    prober = stand.start_prober()
    apart_s = _RELOADS_APART_S if family.reloads else _APART_S
    ours: list[_Move] = []
    bare: list[_Move] = []
    time.sleep(0.3)
    for _ in range((switches + 1) // 2):
        for moves, move in ((ours, stand.switch), (bare, move_bare)):
            moves += [_move(move, slot, apart_s=apart_s) for slot in (Slot.GREEN, Slot.BLUE)]
    return prober.stop(), ours, bare


def _move(move: Callable[[Slot], object], to: Slot, *, apart_s: float) -> _Move:
    decided_at = time.monotonic()
    move(to)
    time.sleep(apart_s)
    return to, decided_at


def _row(family: Family, seen: Seen, ours: list[_Move], bare: list[_Move]) -> tuple[object, ...]:
    if any(not who for _, _, who in seen.answers) and not family.reloads:
        raise StandError("a request failed")
    starts = sorted(at for _, at in ours + bare)
    new, old = _judge(seen, ours, starts)
    bare_new, bare_old = _judge(seen, bare, starts)
    mark = MARKS[family.proxy.value].first_new_ms
    verdict = "-" if family.reloads else f"<= {mark:g}: {'met' if median(new) <= mark else 'missed'}"
    ratio = f"{median(new) / median(bare_new):.2f}"
    return spread(new), verdict, spread(old), family.bare.name, spread(bare_new), spread(bare_old), ratio


def _judge(seen: Seen, moves: list[_Move], starts: list[float]) -> tuple[list[float], list[float]]:
    new, old = [], []
    for to, at in moves:
        until = next((start for start in starts if start > at), None)
        new.append(seen.first_new_ms(to.value, decided_at=at))
        old.append(seen.last_old_ms(to.value, decided_at=at, until=until))
    return new, old
