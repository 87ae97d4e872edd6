"""What is known of the live slot before the switch: gathered when a deploy begins, told to each window's judge."""

from celadon.contracts.judge import Judge
from celadon.deploy.run import Run
from celadon.events import BaselineGathered
from celadon.model.baseline import Learned
from celadon.model.plan import FORWARD


def gather_baseline(run: Run) -> None:
    """Before the candidate starts, so that nothing of it is in the log yet, and off the way from ready to switched."""
    if run.plan.kind in FORWARD and run.plan.live is not None:
        _take(run, run.ports.baselines.gather())


def tell_judge(run: Run, judge: Judge) -> None:
    """Whoever goes back has not waited for a log to be read: what was kept is good enough then."""
    if run.learned is None and run.plan.live is not None:
        _take(run, run.ports.baselines.recall())
    if run.learned is not None:
        judge.take_baseline(run.learned.baseline, is_armed=run.learned.is_armed, pace_ms=run.pace_ms)
    elif run.pace_ms is not None:
        judge.take_baseline(None, pace_ms=run.pace_ms)


def _take(run: Run, learned: Learned | None) -> None:
    run.learned = learned
    if learned is None:
        return
    run.note(
        BaselineGathered(
            minutes_count=learned.minutes_count,
            units_count=learned.units_count,
            bad_units_count=learned.bad_units_count,
            rate_bound=learned.rate_bound,
            p95_ms=learned.p95_ms,
            cut_short=learned.cut_short,
            trial=learned.trial,
            is_armed=learned.is_armed,
            problem=learned.problem,
        )
    )
