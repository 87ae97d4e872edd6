"""OBSERVE's marks beside what was measured. A mark is held for every cell that it speaks of: the worst one is shown."""

from collections.abc import Callable, Sequence
from math import inf

from msgspec import Struct

from bench.obs1.runs import CellResult
from bench.tables import render_table
from celadon.model.verdict import Judgement

_RIVALS = ("naive", "Flagger-like", "Argo-like")


class Mark(Struct, frozen=True, kw_only=True):
    """`measure` is compared with `limit`; `rates` (requests a second) None: every one."""

    text: str
    names: tuple[str, ...]
    limit: float
    measure: Callable[[CellResult], float]
    unit: str = "s"
    rates: tuple[float, ...] | None = None

    def picks(self, result: CellResult) -> bool:
        return result.cell.name in self.names and (self.rates is None or result.cell.rate in self.rates)


def rolled_back(result: CellResult) -> float:
    return result.share(Judgement.BREACH)


def blessed(result: CellResult) -> float:
    return result.share(Judgement.HEALTHY)


def median_s(result: CellResult) -> float:
    return result.median_s


def outage_units(result: CellResult) -> float:
    """The median of the bad units that it took."""
    counts = sorted(o.bad_units_count if o.rolled_back_s is not None else inf for o in result.outcomes)
    return counts[len(counts) // 2]


def hurt(result: CellResult) -> float:
    return result.hurt


def latency_requests(result: CellResult) -> float:
    counts = sorted(o.latency_count if o.rule == "latency" else inf for o in result.outcomes)
    return counts[len(counts) // 2]


_FROM_5, _FROM_50 = (5.0, 50.0, 500.0), (50.0, 500.0)


def _false(limit: float, *names: str) -> Mark:
    return Mark(text=f"{' · '.join(names)}: rolled back", names=names, limit=limit, measure=rolled_back, unit="%")


def _found(limit: float, name: str, rates: tuple[float, ...] | None = None, *, where: str) -> Mark:
    return Mark(text=f"{name}, {where}: median", names=(name,), rates=rates, limit=limit, measure=median_s)


MARKS = (
    _false(0.01, "innocent"),
    _false(0.01, "twice as bad"),
    _false(0.02, "bursty"),
    _false(0.02, "bursty and bot"),
    _false(0.25, "ambient"),
    _false(0.25, "ambient, probes see less", "ambient, 1 journey/s"),
    _false(0.25, "ambient, 1 % allowed", "ambient, 5 % allowed"),
    _false(0.01, "innocent, 1 % allowed"),
    _false(0.01, "innocent, a minute known"),
    _false(0.25, "ambient, half fails", "ambient, all fails"),
    _false(0.25, "ambient, both ×3 slower"),
    _found(2, "outage", _FROM_5, where="≥ 5/s"),
    Mark(text="outage, 0.5/s: units", names=("outage",), rates=(0.5,), limit=3, measure=outage_units, unit=""),
    _found(5, "outage, 1 journey/s", where="any traffic"),
    _found(10, "20 %", _FROM_5, where="≥ 5/s"),
    Mark(text="20 %, 5/s: bad answers got", names=("20 %",), rates=(5.0,), limit=10, measure=hurt, unit=""),
    _found(10, "20 %, a minute known", (5.0,), where="5/s"),
    _found(30, "5 %", _FROM_50, where="≥ 50/s"),
    _found(20, "late 50 %", (0.5,), where="0.5/s"),
    _found(5, "late 50 %", (5.0,), where="5/s"),
    _false(0.0, "no traffic"),
    Mark(text="no traffic: blessed", names=("no traffic",), limit=0, measure=blessed, unit="%"),
    Mark(text="latency ×3: requests", names=("latency ×3",), limit=30, measure=latency_requests, unit=""),
    _false(0.0, "latency ×1.2"),
    _false(0.01, "first 150 are cold"),
)


def render_marks(results: Sequence[CellResult]) -> str:
    """One line for each mark and base rate p_b."""
    rows = []
    for mark in MARKS:
        for p_b in sorted({result.cell.p_b for result in results if mark.picks(result)}):
            picked = [result for result in results if mark.picks(result) and result.cell.p_b == p_b]
            worst = max(picked, key=mark.measure)
            held = "held" if mark.measure(worst) <= mark.limit else "MISSED"
            figures = (show(mark.measure(worst), mark.unit), show(mark.limit, mark.unit), held)
            where = (f"{worst.cell.rate:g}/s", worst.cell.runs_count)
            rows.append((mark.text, f"{p_b:.2%}", *figures, *where, *show_rivals(mark, picked)))
    head = ("mark", "p_b", "worst", "must be ≤", "", "at", "runs", *_RIVALS)
    return render_table("OBS-1: the marks, each at the worst of its cells", head, rows)


def show_rivals(mark: Mark, results: Sequence[CellResult]) -> tuple[str, ...]:
    """The same figure of the others, at their own worst; where it has none, -."""
    each = range(len(_RIVALS))
    if mark.measure is rolled_back:
        return tuple(show(max(result.rival_share(index) for result in results), "%") for index in each)
    if mark.measure is median_s:
        return tuple(show(max(result.rival_median_s(index) for result in results), "s") for index in each)
    return ("-",) * len(_RIVALS)


def render_cells(results: Sequence[CellResult]) -> str:
    rows = [
        (
            result.cell.name,
            f"{result.cell.rate:g}",
            f"{result.cell.p_b:.2%}",
            f"{result.cell.p_g:.2%}",
            result.cell.runs_count,
            *(show(result.share(judgement), "%") for judgement in Judgement),
            show(result.median_s, "s"),
            f"{result.hurt:.1f}",
            *(show(result.rival_share(index), "%") for index in range(len(_RIVALS))),
            f"{max(outcome.cpu_s for outcome in result.outcomes):.2f}",
        )
        for result in results
    ]
    head = ("cell", "/s", "p_b", "p_g", "runs", *Judgement, "median", "hurt", *_RIVALS, "CPU s")
    return render_table("OBS-1: every cell (shares of runs; median of all runs, from the fault on)", head, rows)


def show(value: float, unit: str) -> str:
    if value == inf:
        return "never"
    if value < 0:
        return "before it"
    return f"{value:.1%}".replace("%", " %") if unit == "%" else f"{value:g} {unit}".rstrip()
