"""A run: one window of one cell, judged by the product's own code and by the others. Many of them on all cores."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count
from random import Random
from statistics import fmean, median
from time import process_time

from msgspec import Struct
from msgspec.structs import replace

from bench.obs1.cells import WINDOW_S, Cell
from bench.obs1.rules import make_rivals
from bench.obs1.traffic import CANDIDATE, Second, Visitors, draw_baseline
from bench.obs1.variants import make_judge
from celadon.model.verdict import Judgement
from celadon.observe.rstar import RStarJudge
from celadon.observe.rule import Rule

_BATCHES_A_CELL = 8
_JOURNEY = "shop"


class Outcome(Struct, frozen=True, kw_only=True):
    """`rolled_back_s` counts from the switch; `hurt_count` are bad answers that visitors got since the fault began,
    until it was decided or the window ended."""

    judgement: Judgement
    rule: str
    rolled_back_s: int | None
    hurt_count: int
    requests_count: int
    units_count: int
    bad_units_count: int
    latency_count: int
    cpu_s: float
    rivals_s: tuple[int | None, ...]


class CellResult(Struct, frozen=True, kw_only=True):
    cell: Cell
    outcomes: Sequence[Outcome]

    def share(self, judgement: Judgement) -> float:
        return fmean(outcome.judgement is judgement for outcome in self.outcomes)

    @property
    def after_s(self) -> Sequence[int]:
        """From the fault to the rollback, of the runs that rolled back after it."""
        since = self.cell.from_s
        return [
            o.rolled_back_s - since for o in self.outcomes if o.rolled_back_s is not None and o.rolled_back_s > since
        ]

    @property
    def median_s(self) -> float:
        """Over all runs: infinite where less than half rolled back."""
        found = sorted(self.after_s)
        missing = len(self.outcomes) - len(found)
        return median(found + [float("inf")] * missing)

    @property
    def hurt(self) -> float:
        return fmean(outcome.hurt_count for outcome in self.outcomes)

    def rival_share(self, index: int) -> float:
        return fmean(outcome.rivals_s[index] is not None for outcome in self.outcomes)

    def rival_median_s(self, index: int) -> float:
        times = (outcome.rivals_s[index] for outcome in self.outcomes)
        return median(float("inf") if time is None else time - self.cell.from_s for time in times)


def run_once(cell: Cell, seed: int, *, judge_name: str, lines: bool) -> Outcome:
    random = Random(f"{replace(cell, runs_count=0)!r} {seed}")
    rule = Rule(journeys=cell.journeys_a_second > 0, max_error_rate=cell.max_error_rate)
    judge = make_judge(judge_name, rule, CANDIDATE)
    if cell.rate:
        judge.take_baseline(draw_baseline(random, cell))
    visitors = Visitors(random, cell, lines=lines)
    rivals = make_rivals()
    rivals_s: list[int | None] = [None] * len(rivals)
    verdict, hurt_count, decided_s, spent_s = None, 0, WINDOW_S, 0.0
    for second, seen in enumerate(visitors.draw(), 1):
        for index, rival in enumerate(rivals):
            if rivals_s[index] is None and rival.rolls_back(second, seen.requests_count, seen.failed_count):
                rivals_s[index] = second
        if verdict is not None:
            continue
        hurt_count += seen.failed_count if second > cell.from_s else 0
        began_s = process_time()
        _feed(judge, seen)
        verdict = judge.judge(elapsed_s=second, window_s=WINDOW_S)
        spent_s += process_time() - began_s
        if judge.needs_control():
            visitors.hurry()
        if verdict is not None:
            decided_s, visitors.hits_are_needed = second, False
    assert verdict is not None
    return Outcome(
        judgement=verdict.judgement,
        rule=verdict.rule,
        rolled_back_s=decided_s if verdict.judgement is Judgement.BREACH else None,
        hurt_count=hurt_count,
        requests_count=verdict.evidence.requests_count,
        units_count=verdict.evidence.units_count,
        bad_units_count=verdict.evidence.bad_units_count,
        latency_count=count_latency(judge),
        cpu_s=spent_s,
        rivals_s=tuple(rivals_s),
    )


def _feed(judge: RStarJudge, seen: Second) -> None:
    for answer in seen.control:
        judge.take_control(answer)
    for answer in seen.old_journeys:
        judge.take_control(answer, journey=_JOURNEY)
    for answer in seen.journeys:
        judge.take_journey(answer, name=_JOURNEY)
    judge.take_traffic(seen.hits)


def count_latency(judge: RStarJudge) -> int:
    return judge._slowness.count  # noqa: SLF001 - how many requests after the skip it took


def run_batch(cell: Cell, seeds: Iterable[int], judge_name: str, lines: bool) -> list[Outcome]:  # noqa: FBT001 - sent to a process
    return [run_once(cell, seed, judge_name=judge_name, lines=lines) for seed in seeds]


def run_cells(cells: Sequence[Cell], *, judge_name: str, lines: bool, jobs: int | None) -> list[CellResult]:
    """`runs_count` windows of each; the same seeds give the same figures."""
    with ProcessPoolExecutor(jobs or cpu_count()) as pool:
        asked = [
            [
                pool.submit(run_batch, cell, range(part, cell.runs_count, _BATCHES_A_CELL), judge_name, lines)
                for part in range(min(_BATCHES_A_CELL, cell.runs_count))
            ]
            for cell in cells
        ]
        return [
            CellResult(cell=cell, outcomes=[outcome for part in parts for outcome in part.result()])
            for cell, parts in zip(cells, asked, strict=True)
        ]
