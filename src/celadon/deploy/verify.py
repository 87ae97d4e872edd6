"""Step 2: the candidate is ready, k times in a row, it is the candidate that says so, and the journeys pass on it.
Traffic: live slot."""

from celadon.deploy.hooks import pass_hook
from celadon.deploy.journeys import pass_journeys
from celadon.deploy.replicas import ask_every
from celadon.deploy.run import Run
from celadon.deploy.states import Result
from celadon.events import CandidateReady, CandidateUnready, ReadinessAsked
from celadon.model.names import Slot
from celadon.model.observed import Answer, SlotStatus, SlotView
from celadon.model.plan import Request
from celadon.model.settings import ReadinessSettings

LOG_LINES_COUNT = 20


def verify(run: Run) -> Result:
    run.ports.reached("polling")
    result = _await_readiness(run)
    if result is Result.OK:
        result = pass_journeys(run)
    if result is not Result.OK:
        return result
    return Result.OK if pass_hook(run, "pre_switch") else Result.FAILED


def ask_slot(run: Run, slot: Slot, *, readiness: ReadinessSettings | None = None) -> tuple[Answer, SlotView]:
    """One readiness question, the candidate's or `readiness`, to every replica, with identity: a yes counts only when
    the listening sockets belong to the slot's own processes. Order matters: the processes are observed after the
    answers, so that one that died while answering is not believed."""
    probe = run.ports.probe if readiness is None else run.ports.make_probe(slot, readiness)
    limit_s = (readiness or run.plan.settings.readiness).max_latency_s
    answer = ask_every(probe.ask, run.addresses(slot), timeout_s=limit_s)
    view = run.ports.runner.observe(slot)
    return check_identity(run, slot, answer, view), view


def check_identity(run: Run, slot: Slot, answer: Answer, view: SlotView) -> Answer:
    """A yes as it is, or as a no with its reason. `view` was observed after the answer."""
    if not answer.ok:
        return answer
    unheld = [each for each in run.addresses(slot) if not run.ports.sockets.is_held(each, by=view.pids)]
    if not unheld:
        return answer
    listeners = run.ports.sockets.listening_pids(unheld[0])
    who = "a process we may not see" if listeners is None else f"pid {', '.join(map(str, sorted(listeners))) or 'none'}"
    return Answer(
        ok=False,
        latency_ms=answer.latency_ms,
        status=answer.status,
        head=answer.head,
        reason=f"the answer came from {who}, not from the process started in {slot}",
        hint="another program listens on this address, or the app hands its socket to a process outside the slot",
    )


def _await_readiness(run: Run) -> Result:
    settings, clock, slot = run.plan.settings.readiness, run.ports.clock, run.plan.candidate
    began_s = clock.now_s()
    first_yes_s = began_s
    in_a_row = asked_count = 0
    last: Answer | None = None
    while True:
        if run.asked(Request.ABORT):
            return Result.ABORTED
        asked_at_s = clock.now_s()
        answer, view = ask_slot(run, slot)
        asked_count += 1
        _note_change(run, answer, before=last)
        last = answer
        first_yes_s = asked_at_s if in_a_row == 0 else first_yes_s
        in_a_row = in_a_row + 1 if answer.ok else 0
        now_s = clock.now_s()
        if in_a_row >= settings.successes_count and now_s - first_yes_s >= settings.min_time_s:
            run.note(CandidateReady(slot=slot, probes_count=asked_count, after_s=now_s - began_s))
            run.ports.reached("ready")
            return Result.OK
        if view.status is not SlotStatus.RUNNING:
            return _give_up(run, answer, reason=_describe_exit(view))
        if now_s + settings.interval_s - began_s >= settings.deadline_s:
            return _give_up(run, answer, reason=f"not ready within {settings.deadline_s:g} s: {_describe(answer)}")
        clock.wait(max(0.0, settings.interval_s - (now_s - asked_at_s)))


def _describe(answer: Answer) -> str:
    return answer.reason if not answer.ok else "it answers well, but not often enough in a row"


def _describe_exit(view: SlotView) -> str:
    code = "" if view.exit_code is None else f" with code {view.exit_code}"
    return f"its process ended{code}" + (f" ({view.exit_reason})" if view.exit_reason else "")


def _note_change(run: Run, answer: Answer, *, before: Answer | None) -> None:
    if before is not None and before.ok == answer.ok and before.reason == answer.reason:
        return
    run.note(
        ReadinessAsked(
            slot=run.plan.candidate,
            ok=answer.ok,
            latency_ms=answer.latency_ms,
            status=answer.status,
            head=answer.head,
            reason=answer.reason,
            hint=answer.hint,
        )
    )


def _give_up(run: Run, answer: Answer, *, reason: str) -> Result:
    slot = run.plan.candidate
    run.note(
        CandidateUnready(
            slot=slot,
            reason=reason,
            probe=run.ports.probe.describe(),
            head=answer.head,
            hint=answer.hint,
            log_tail=tuple(run.ports.runner.tail(slot, lines_count=LOG_LINES_COUNT)),
        )
    )
    run.blame(
        f"{run.ports.probe.describe()} on {', '.join(map(str, run.addresses(slot)))}: {reason}",
        code="not_ready",
        next_command=f"celadon logs --slot {slot}",
    )
    return Result.FAILED
