"""Step 4: the window. Real traffic, the candidate's process and its readiness, until a verdict. Traffic: candidate."""

from contextlib import closing
from typing import Final

from celadon.contracts.asking import Asking, NoAsking
from celadon.contracts.judge import Judge
from celadon.contracts.traffic import Traffic
from celadon.deploy.alone import runs_alone
from celadon.deploy.baseline import tell_judge
from celadon.deploy.jobs import Fault, Work
from celadon.deploy.looking import Looking
from celadon.deploy.run import Run
from celadon.deploy.running_journeys import RunningJourneys, find_old_release
from celadon.deploy.sampling import Sampler
from celadon.deploy.sources import Sources
from celadon.deploy.states import Result
from celadon.deploy.workers import HandingOver
from celadon.events import VerdictReached, WindowExtended, WindowOpened
from celadon.model.observed import WHOLE
from celadon.model.plan import FORWARD, Request
from celadon.model.processes import WEB
from celadon.model.release import Release
from celadon.model.settings import BlessMode, JudgeKind, OnUndecided
from celadon.model.verdict import BY_EVIDENCE, Judgement, Verdict

_READ_EVERY_S: Final = 0.1
"""A bad answer is to be in the judgement 250 ms after the proxy wrote it. A round costs half a millisecond of CPU."""
_FIRST_TIMES = 2
"""A first deploy has nothing to compare with, nor an app that runs alone: its window is so many times as long."""
_ASK = "celadon finalize  # or: celadon rollback; the grounds: celadon why"


def observe(run: Run) -> Result:
    if run.finalize_is_asked:
        return Result.OK
    with closing(HandingOver(run)) as handing_over:
        result = watch(run, window_s=run.plan.settings.observe.window_s, handing_over=handing_over)
    manual = run.plan.settings.observe.bless is BlessMode.MANUAL
    if result is Result.OK and manual and not run.finalize_is_asked:
        run.blame("healthy; bless is manual", code="awaiting_bless", next_command="celadon finalize")
        return Result.UNDECIDED
    return result


def watch(run: Run, *, window_s: float, percent: int = 100, handing_over: HandingOver | None = None) -> Result:
    """`percent` of the traffic goes to the candidate. `handing_over` is carried on with, and nothing is blessed before
    it is done; None: workers stay where they are. OK: healthy, or a person asked to finalize. Blocks for `window_s`, or
    for as long as the settings let a window go on, unless something is decided earlier."""
    traffic = run.ports.proxy.traffic()
    try:
        old = find_old_release(run)
        with (
            closing(_ask_old_slot(run, old)) as control,
            closing(RunningJourneys(run, old=old, percent=percent)) as journeys,
            closing(Looking(run)) as looking,
            closing(Work(run, handing_over, is_watched=percent == WHOLE)) as work,
        ):
            return _watch(run, traffic, control, journeys, looking, work=work, window_s=window_s, percent=percent)
    finally:
        traffic.close()


def _watch(
    run: Run,
    traffic: Traffic,
    control: Asking,
    journeys: RunningJourneys,
    looking: Looking,
    *,
    work: Work,
    window_s: float,
    percent: int,
) -> Result:
    settings, clock = run.plan.settings.observe, run.ports.clock
    judge = run.ports.make_judge(settings, run.plan.candidate, journeys=journeys.are_any)
    tell_judge(run, judge)
    judge.take_share(percent)
    whole = percent == WHOLE
    length = _Length(run, window_s, goes_on=whole)
    run.note(
        WindowOpened(
            percent=percent,
            window_s=length.window_s,
            max_error_rate=settings.max_error_rate,
            min_requests_count=settings.min_requests_count,
        )
    )
    run.ports.reached("window_recorded")
    sampler, sources = Sampler(run, began_s=clock.now_s()), Sources(run, judge, traffic)
    while True:
        round_began_s = clock.now_s()
        if run.asked(Request.ABORT):
            return Result.ABORTED
        if run.asked(Request.FINALIZE):
            run.finalize_is_asked = True
            return Result.OK
        journeys.feed(judge)
        looking.feed(judge, sampler, is_last=round_began_s - sampler.began_s >= length.window_s)
        _feed(run, judge, sources, control, sampler)
        elapsed_s = clock.now_s() - sampler.began_s
        verdict = judge.judge(elapsed_s=elapsed_s, window_s=length.window_s)
        fault = work.find_fault(is_last=verdict is not None)
        if fault is not None:
            verdict = _breach_by(fault, judge)
        if judge.needs_control():
            control.hurry()
            journeys.hurry_control()
        is_awaited = looking.is_awaited() or work.is_awaited
        is_held = verdict is not None and verdict.judgement is not Judgement.BREACH and is_awaited
        if verdict is not None and not is_held and not length.extend(verdict, elapsed_s=elapsed_s):
            return _conclude(run, verdict, sampler, whole=whole, suspect=fault.process if fault else WEB)
        if sampler.is_due(elapsed_s=elapsed_s):
            sampler.sample(judge.evidence(), elapsed_s=elapsed_s, window_s=length.window_s)
        run.ports.reached("mid_window")
        left_s = max(0.0, length.window_s - elapsed_s) or _READ_EVERY_S
        next_s = round_began_s + min(_READ_EVERY_S, settings.interval_s, left_s)
        clock.wait(max(0.0, next_s - clock.now_s()))


def _breach_by(fault: Fault, judge: Judge) -> Verdict:
    return Verdict(judgement=Judgement.BREACH, rule=fault.rule, reason=fault.reason, evidence=judge.evidence())


def _ask_old_slot(run: Run, old: Release | None) -> Asking:
    """By its own release's readiness: the candidate's may ask for what only the candidate has."""
    if old is None:
        return NoAsking()
    return run.ports.ask_on(run.plan.candidate.other, old.manifest.settings.readiness)


class _Length:
    """How long a window is. One that nobody can decide goes on, by as much as it had at first, up to its maximum."""

    def __init__(self, run: Run, window_s: float, *, goes_on: bool) -> None:
        settings = run.plan.settings.observe
        is_first = (run.plan.live is None or runs_alone(run)) and settings.judge is JudgeKind.EVIDENCE
        self._run = run
        self._opened_s = self.window_s = window_s * (_FIRST_TIMES if is_first else 1)
        self._longest_s = max(self.window_s, settings.max_window_s or 0.0) if goes_on else self.window_s

    def extend(self, verdict: Verdict, *, elapsed_s: float) -> bool:
        undecided = verdict.judgement in {Judgement.UNDECIDED, Judgement.AMBIENT}
        if not undecided or verdict.rule in BY_EVIDENCE or elapsed_s >= self._longest_s or not self._opened_s:
            return False
        self.window_s = min(elapsed_s + self._opened_s, self._longest_s)
        self._run.note(WindowExtended(window_s=self.window_s, reason=verdict.reason, evidence=verdict.evidence))
        return True


def _feed(run: Run, judge: Judge, sources: Sources, control: Asking, sampler: Sampler) -> None:
    for asked in control.take():
        judge.take_control(asked)
        sampler.take_answer(run.plan.candidate.other, asked)
    hits, counts = sources.feed()
    sampler.take_traffic(hits)
    sampler.take_counts(counts)


def _conclude(run: Run, verdict: Verdict, sampler: Sampler, *, whole: bool, suspect: str) -> Result:
    """A share that ends undecided is no reason for anything. A breach is recorded with the way back that it begins.
    `suspect` is the process whose log may tell more."""
    new, old = sampler.tell()
    reached = VerdictReached(
        judgement=verdict.judgement,
        rule=verdict.rule,
        reason=verdict.reason,
        candidate=new,
        old=old,
        evidence=verdict.evidence,
    )
    (run.hold if verdict.judgement is Judgement.BREACH else run.note)(reached)
    run.ports.reached("verdict")
    match verdict.judgement:
        case Judgement.UNDECIDED if verdict.rule in BY_EVIDENCE and whole:
            return _leave_unarmed(run, verdict)
        case Judgement.BREACH:
            run.blame(f"{verdict.rule}: {verdict.reason}", code="breach", next_command=_look(run, suspect))
            return Result.BREACH
        case Judgement.UNDECIDED | Judgement.AMBIENT:
            return _leave_undecided(run, verdict) if whole else Result.UNDECIDED
        case Judgement.HEALTHY:
            return Result.OK


def _leave_unarmed(run: Run, verdict: Verdict) -> Result:
    """The same rule would have gone back from the old slot too, nothing being wrong: so a person decides, whatever
    `on_undecided` says."""
    trial = run.learned.trial if run.learned is not None else ""
    why = f"{verdict.rule}: {verdict.reason}; but {trial}"
    run.blame(why, code="not_armed", next_command="celadon rollback  # or: celadon finalize")
    return Result.UNDECIDED


def _leave_undecided(run: Run, verdict: Verdict) -> Result:
    """Trouble that both slots have is never blessed by itself, and nobody who goes back is sent forth again."""
    match run.plan.settings.observe.on_undecided:
        case OnUndecided.BLESS if verdict.judgement is Judgement.UNDECIDED:
            return Result.OK
        case OnUndecided.ROLLBACK if run.plan.kind in FORWARD:
            run.blame(f"undecided: {verdict.reason}", code="undecided", next_command=_look(run))
            return Result.BREACH
        case _:
            run.blame(verdict.reason, code="undecided", next_command=_ASK)
            return Result.UNDECIDED


def _look(run: Run, process: str = WEB) -> str:
    whose = "" if process == WEB else f" --process {process}"
    return f"celadon why  # and: celadon logs --slot {run.plan.candidate}{whose}"
