"""`./run bench obs1`: all cells, both tables."""

from time import monotonic

from msgspec import Struct
from msgspec.structs import replace

from bench.obs1.cells import Cell, list_cells
from bench.obs1.marks import render_cells, render_marks
from bench.obs1.runs import run_cells

FULL_RUNS = 2_400
# A window at 500/s is 300,000 requests: at most so many of them a cell without --full.
_REQUESTS_A_CELL = 3_000_000


class Options(Struct, frozen=True, kw_only=True):
    """`runs_count` a cell, fewer where many requests a second come; 0: FULL_RUNS in all of them. `lines`: each request
    is written as a line of nginx's log and parsed. `only`: cells whose name contains it."""

    runs_count: int = 200
    lines: bool = False
    judge: str = "product"
    only: str = ""
    jobs: int | None = None


def run(options: Options) -> str:
    began_s = monotonic()
    cells = [replace(cell, runs_count=count_runs(cell, options)) for cell in list_cells() if options.only in cell.name]
    results = run_cells(cells, judge_name=options.judge, lines=options.lines, jobs=options.jobs)
    runs_count = sum(cell.runs_count for cell in cells)
    spent = f"\n{runs_count} windows of 600 s in {monotonic() - began_s:.0f} s\n"
    return render_marks(results) + "\n" + render_cells(results) + spent


def count_runs(cell: Cell, options: Options) -> int:
    if not options.runs_count:
        return FULL_RUNS
    affordable = int(_REQUESTS_A_CELL * options.runs_count / 200 / (600 * max(cell.rate, 1.0)))
    return max(2, min(options.runs_count, affordable))
