"""Step 4: the window. Real traffic, the candidate's process and its readiness, until a verdict. Traffic: candidate."""

from collections.abc import Sequence

from celadon.contracts.judge import Judge
from celadon.contracts.traffic import Traffic
from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.deploy.verify import ask_slot
from celadon.events import VerdictReached, WindowOpened, WindowSampled
from celadon.model.names import Slot
from celadon.model.observed import WHOLE, Answer, Hit, SlotView
from celadon.model.plan import Request
from celadon.model.settings import BlessMode
from celadon.model.verdict import Evidence, Judgement, Verdict

SAMPLE_EVERY_S = 1.0


def observe(run: Run) -> Result:
    if run.finalize_is_asked:
        return Result.OK
    result = watch(run, window_s=run.plan.settings.observe.window_s)
    manual = run.plan.settings.observe.bless is BlessMode.MANUAL
    if result is Result.OK and manual and not run.finalize_is_asked:
        run.blame("healthy; bless is manual", code="awaiting_bless", next_command="celadon finalize")
        return Result.UNDECIDED
    return result


def watch(run: Run, *, window_s: float, percent: int = 100) -> Result:
    """`percent` of the traffic goes to the candidate. OK: healthy, or a person asked to finalize. Blocks for `window_s`
    unless something is decided earlier."""
    traffic = run.ports.proxy.traffic()
    try:
        return _watch(run, traffic, window_s=window_s, percent=percent)
    finally:
        traffic.close()


def _watch(run: Run, traffic: Traffic, *, window_s: float, percent: int) -> Result:
    settings, clock = run.plan.settings.observe, run.ports.clock
    judge = run.ports.make_judge(settings, run.plan.candidate)
    judge.take_share(percent)
    run.note(
        WindowOpened(
            percent=percent,
            window_s=window_s,
            max_error_rate=settings.max_error_rate,
            min_requests_count=settings.min_requests_count,
        )
    )
    run.ports.reached("window_recorded")
    sampler = _Sampler(run, began_s=clock.now_s(), window_s=window_s, percent=percent)
    while True:
        if run.asked(Request.ABORT):
            return Result.ABORTED
        if run.asked(Request.FINALIZE):
            run.finalize_is_asked = True
            return Result.OK
        _feed(run, judge, traffic, sampler)
        elapsed_s = clock.now_s() - sampler.began_s
        verdict = judge.judge(elapsed_s=elapsed_s, window_s=window_s)
        if verdict is not None:
            return _conclude(run, verdict, whole=percent == WHOLE)
        sampler.sample(elapsed_s)
        run.ports.reached("mid_window")
        clock.wait(max(0.0, min(settings.interval_s, window_s - elapsed_s)))


def _feed(run: Run, judge: Judge, traffic: Traffic, sampler: "_Sampler") -> None:
    answer, view = ask_slot(run, run.plan.candidate)
    hits = traffic.read()
    judge.take_process(view)
    judge.take_probe(answer)
    judge.take_traffic(hits)
    sampler.add(hits, answer=answer, view=view)


def _conclude(run: Run, verdict: Verdict, *, whole: bool) -> Result:
    """A share that ends undecided is no reason for anything."""
    run.note(
        VerdictReached(judgement=verdict.judgement, rule=verdict.rule, reason=verdict.reason, evidence=verdict.evidence)
    )
    run.ports.reached("verdict")
    match verdict.judgement:
        case Judgement.BREACH:
            run.blame(f"{verdict.rule}: {verdict.reason}", code="breach", next_command="celadon logs")
            return Result.BREACH
        case Judgement.UNDECIDED | Judgement.AMBIENT:
            if whole:
                run.blame(verdict.reason, code="undecided", next_command="celadon finalize  # or: celadon rollback")
            return Result.UNDECIDED
        case Judgement.HEALTHY:
            return Result.OK


class _Sampler:
    """Counts between two samples, and since the window opened. For people; it decides nothing."""

    def __init__(self, run: Run, *, began_s: float, window_s: float, percent: int) -> None:
        self.began_s = began_s
        self._window_s = window_s
        self._percent = percent
        self._run = run
        self._sampled_s = 0.0
        self._since = dict.fromkeys(Slot, 0)
        self._requests = dict.fromkeys(Slot, 0)
        self._failed = dict.fromkeys(Slot, 0)
        self._probes_count = self._probes_failed_count = self._restarts_count = 0

    def add(self, hits: Sequence[Hit], *, answer: Answer, view: SlotView) -> None:
        for hit in hits:
            if hit.slot is not None and not hit.look:
                self._since[hit.slot] += 1
                self._requests[hit.slot] += 1
                self._failed[hit.slot] += hit.failed
        self._probes_count += 1
        self._probes_failed_count += not answer.ok
        self._restarts_count = view.restarts_count

    def sample(self, elapsed_s: float) -> None:
        span_s = elapsed_s - self._sampled_s
        if span_s < SAMPLE_EVERY_S:
            return
        candidate, old = self._run.plan.candidate, self._run.plan.candidate.other
        self._run.note(
            WindowSampled(
                elapsed_s=elapsed_s,
                window_s=self._window_s,
                candidate_requests_per_s=self._since[candidate] / span_s,
                old_requests_per_s=self._since[old] / span_s,
                old_failed_count=self._failed[old],
                evidence=Evidence(
                    requests_count=self._requests[candidate],
                    failed_count=self._failed[candidate],
                    probes_count=self._probes_count,
                    probes_failed_count=self._probes_failed_count,
                    restarts_count=self._restarts_count,
                    percent=self._percent,
                    elapsed_s=elapsed_s,
                ),
            )
        )
        self._sampled_s = elapsed_s
        self._since = dict.fromkeys(Slot, 0)
