"""The candidate itself, looked at all through the window: does it answer, does its process run.

It is asked in the background: one that accepts and never answers would else hold up the reading of its visitors' bad
answers for as long as an answer may take. Its process is observed here, after the answer."""

from typing import Final

from msgspec.structs import replace

from celadon.contracts.asking import Asking
from celadon.contracts.judge import Judge
from celadon.deploy.replicas import ask_every
from celadon.deploy.run import Run
from celadon.deploy.sampling import Sampler
from celadon.deploy.verify import check_identity

_UNANSWERED_TIMES: Final = 2
"""A process that does not answer is observed at so many times its interval."""
_LATE_S: Final = 1.0
"""A machine under load answers that much later."""


class Looking:
    """Began when it was made."""

    def __init__(self, run: Run) -> None:
        settings, self._slot = run.plan.settings, run.plan.candidate
        ask, addresses, limit_s = run.ports.probe.ask, run.addresses(self._slot), settings.readiness.max_latency_s
        longest_s = limit_s * len(addresses)
        self._run = run
        self._interval_s = settings.observe.interval_s
        self._asking: Asking = run.ports.keep_asking(
            lambda: ask_every(ask, addresses, timeout_s=limit_s), interval_s=self._interval_s
        )
        self._answered_s = run.ports.clock.now_s()
        self._looked_s: float | None = None
        self._first_by_s: float | None = self._answered_s + longest_s + _LATE_S
        self._overdue_s, self._lost_s = self._interval_s + _LATE_S, self._interval_s + longest_s + _LATE_S

    def feed(self, judge: Judge, sampler: Sampler, *, is_last: bool) -> None:
        """What it answered since the last call, and how its process is: each time that it answered, and at the last.
        Blocks for no answer."""
        now_s, answers = self._run.ports.clock.now_s(), self._asking.take()
        is_due = self._looked_s is None or now_s - self._looked_s >= _UNANSWERED_TIMES * self._interval_s
        if not (answers or is_due or is_last):
            return
        view = self._run.ports.runner.observe(self._slot)
        self._looked_s = now_s
        for answer in answers:
            identified = check_identity(self._run, self._slot, answer, view)
            judge.take_probe(identified)
            sampler.take_answer(self._slot, identified)
            self._answered_s, self._first_by_s = now_s, None
        restarts_count = max(0, view.restarts_count - self._run.restarts_count)
        judge.take_process(replace(view, restarts_count=restarts_count))
        judge.take_host(self._run.ports.host.observe())

    def is_awaited(self) -> bool:
        """Its first answer, or one that is late, is still to come: nothing is blessed meanwhile. Not for longer than
        an answer may take."""
        now_s = self._run.ports.clock.now_s()
        if self._first_by_s is not None:
            return now_s <= self._first_by_s
        return self._overdue_s < now_s - self._answered_s <= self._lost_s

    def close(self) -> None:
        """Never blocks."""
        self._asking.close()
