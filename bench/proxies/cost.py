"""What our route costs in the proxy's CPU per request, beside the plain site in the same running proxy.

By the CPU clock of each of the proxy's processes (clock_getcpuclockid(3): user and system of all threads, in ns;
/proc/<pid>/stat has the same sum in ticks of 10 ms, longer than a slice here).
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from statistics import median, quantiles

from bench.proxies.families import MARKS, Family
from bench.proxies.plain import PlainSites
from bench.proxies.rows import Row, measure_rows
from bench.proxies.slices import KeepAlive, OneShot, Slice
from bench.proxies.stand import Stage, Stand, open_stand
from bench.tables import Table
from celadon.model.names import Slot

_SLICE_COUNT = 160
_CPUCLOCK_SCHED = 2
_PLAIN, _FIXED, _ROUTE = "plain", "fixed", "route"
_KINDS: tuple[tuple[str, type[KeepAlive] | type[OneShot]], ...] = (("keep-alive", KeepAlive), ("one-shot", OneShot))

_Turn = dict[str, float]
"""Site → µs of CPU a request."""


def measure_cost(families: Sequence[Family], *, turns: int) -> Table:
    def measure(family: Family) -> Sequence[Row]:
        return _rows(family, turns=turns) if family.plain is not None else []

    head = (
        "proxy",
        "requests",
        "plain µs",
        "fixed µs",
        "route µs",
        "pointer: route / fixed",
        "middle half of it",
        "mark",
        "both: route / plain",
        "middle half of both",
    )
    note = (
        f"CPU of all the proxy's processes, user and system, per request. The sites take turns of {_SLICE_COUNT} "
        f"requests, {turns} times each; ratios are medians of the turns' ratios, beside them what the middle half of "
        "the turns lies between. *Plain*: the site as its owner wrote it, with its own access log. *Fixed*: our route "
        "beside the owner's log, but with the address of one slot where the pointer is read. *Route*: as it is, both "
        "logs on. The mark is of the pointer; what the second log costs, an owner who drops the first one saves."
    )
    return Table(title="What the route costs", head=head, rows=measure_rows(families, measure), note=note)


def _rows(family: Family, *, turns: int) -> list[tuple[object, ...]]:
    found: list[PlainSites] = []
    plain = family.plain
    assert plain is not None

    def prepare(stage: Stage) -> None:
        found.append(plain(stage))

    with open_stand(family.open, prepare=prepare) as stand:
        ports = {_PLAIN: found[0].plain, _FIXED: found[0].fixed, _ROUTE: stand.stage.port}
        return [(word, *_row(family, _measure(stand, kind, ports, turns=turns))) for word, kind in _KINDS]


def _measure(stand: Stand, kind: type[KeepAlive] | type[OneShot], ports: dict[str, int], *, turns: int) -> list[_Turn]:
    """The first turn, in which all is opened and warmed, does not count."""
    with ExitStack() as stack:
        sites: list[tuple[str, Slice]] = [
            (name, stack.enter_context(closing(kind(port, site=stand.site, version=Slot.BLUE.value))))
            for name, port in ports.items()
        ]
        pids = stand.proxy_pids()
        measured = []
        for number in range(turns + 1):
            at = number % len(sites)  # nobody is always the first
            measured.append({name: _time(pids, ask) for name, ask in sites[at:] + sites[:at]})
    return measured[1:]


def _time(pids: Iterable[int], ask: Slice) -> float:
    before = read_cpu_s(pids)
    made = ask(_SLICE_COUNT)
    return (read_cpu_s(pids) - before) / made * 1e6


def read_cpu_s(pids: Iterable[int]) -> float:
    return sum(time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED) for pid in pids) / 1e9


def _row(family: Family, turns: list[_Turn]) -> tuple[object, ...]:
    middles = {name: f"{median(took[name] for took in turns):.1f}" for name in turns[0]}
    pointer = [took[_ROUTE] / took[_FIXED] for took in turns]
    both = [took[_ROUTE] / took[_PLAIN] for took in turns]
    mark = MARKS[family.proxy.value].cpu_ratio
    verdict = "-" if mark is None else f"<= {mark:.2f}: {'met' if median(pointer) <= mark else 'missed'}"
    return (
        middles[_PLAIN],
        middles[_FIXED],
        middles[_ROUTE],
        f"{median(pointer):.3f}",
        _middle_half(pointer),
        verdict,
        f"{median(both):.3f}",
        _middle_half(both),
    )


def _middle_half(ratios: list[float]) -> str:
    low, _, high = quantiles(ratios, n=4)
    return f"{low:.3f} – {high:.3f}"
