"""The new release's workers, looked at all through the window: each that runs by now is to run on, to give signs of
life where it can, and to keep its queue short.

Files are looked at and commands are asked beside the reading of visitors' answers, which waits for none of them. A
queue's command that gives no number tells nothing: no data is no breach."""

from collections.abc import Callable
from typing import Final, NamedTuple

from celadon.contracts.asking import Asking
from celadon.deploy.run import Run
from celadon.deploy.workers import HandingOver, find_workers
from celadon.model.errors import StepError
from celadon.model.observed import Answer, SlotStatus, SlotView
from celadon.model.processes import Handover, WorkerSettings
from celadon.model.release import Release


class Fault(NamedTuple):
    """`process` is whose log may tell more."""

    rule: str
    reason: str
    process: str


_LOOK_EVERY_S: Final = 1.0
"""To ask systemd or an engine about one costs some ten milliseconds of a core."""
_ASK_EVERY_S: Final = 5.0
"""A command may be a whole program that begins."""
_ASK_LIMIT_S: Final = 30.0
_TOO_LONG_TIMES: Final = 3


class Jobs:
    """Of nobody until `begin`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._clock = run.ports.clock
        self._alive: list[_Alive] = []
        self._asked: list[_Beat | _Depth] = []
        self._looked_s: float | None = None

    def begin(self) -> None:
        """From now on all run that the new release has before its bless."""
        run, release = self._run, _find_release(self._run) if self._run.plan.settings.workers else None
        found = find_workers(release, run.plan.settings)
        workers = tuple(each for each in found if each.handover is not Handover.AFTER_BLESS)
        self._alive = [_Alive(run, process) for worker in workers for process in worker.processes]
        if release is not None:
            for worker in workers:
                self._asked += _watch(run, worker, release)

    @property
    def are_any(self) -> bool:
        return bool(self._alive)

    def find_fault(self, *, is_last: bool) -> Fault | None:
        """Looks once a second, and at the last. Blocks for no command."""
        now_s = self._clock.now_s()
        if self._looked_s is not None and now_s - self._looked_s < _LOOK_EVERY_S and not is_last:
            return None
        self._looked_s = now_s
        for each in (*self._alive, *self._asked):
            fault = each.find_fault(now_s)
            if fault is not None:
                return fault
        return None

    def close(self) -> None:
        """Never blocks."""
        for each in self._asked:
            each.close()


class Work:
    """The handover as long as it goes on, then the jobs of whoever has taken over."""

    def __init__(self, run: Run, handing_over: HandingOver | None, *, is_watched: bool) -> None:
        self._clock = run.ports.clock
        self._handing_over = handing_over
        self._jobs = Jobs(run)
        self._tried_until_s = 0.0
        if is_watched and handing_over is None:
            self._jobs.begin()

    @property
    def is_awaited(self) -> bool:
        """A worker has not begun yet, or no second ago: nothing is blessed before it was looked at again."""
        return self._handing_over is not None or self._clock.now_s() < self._tried_until_s

    def find_fault(self, *, is_last: bool) -> Fault | None:
        """Raises StepError where a worker does not start or stop."""
        if self._handing_over is not None and self._handing_over.step():
            self._handing_over = None
            self._jobs.begin()
            self._tried_until_s = self._clock.now_s() + _LOOK_EVERY_S if self._jobs.are_any else 0.0
        return self._jobs.find_fault(is_last=is_last)

    def close(self) -> None:
        """Never blocks."""
        self._jobs.close()


def _find_release(run: Run) -> Release | None:
    try:
        return run.candidate_release()
    except (StepError, OSError):
        return None


def _watch(run: Run, worker: WorkerSettings, release: Release) -> "list[_Beat | _Depth]":
    """The queue is one, however many replicas there are."""
    found: list[_Beat | _Depth] = []
    if worker.heartbeat_file or worker.heartbeat_command:
        found += [_Beat(run, worker, process, release) for process in worker.processes]
    if worker.max_queue_depth is not None:
        found.append(_Depth(run, worker, release, limit=worker.max_queue_depth))
    return found


class _Alive:
    def __init__(self, run: Run, process: str) -> None:
        self._slot, self._process, self._runner = run.plan.candidate, process, run.ports.runner_of(process)
        self._restarts_count: int | None = None

    def find_fault(self, now_s: float) -> Fault | None:  # noqa: ARG002
        view = self._runner.observe(self._slot)
        if view.status is not SlotStatus.RUNNING:
            return Fault("worker", f"the worker {self._process} ended{_describe_end(view)}", self._process)
        if self._restarts_count is None:
            self._restarts_count = view.restarts_count
        if view.restarts_count > self._restarts_count:
            text = f"the worker {self._process} was started again since the switch"
            return Fault("worker_restarts", text, self._process)
        return None


class _Beat:
    """A sign of life is a file that is touched, or a command that exits with 0; the window's beginning is one too."""

    def __init__(self, run: Run, worker: WorkerSettings, process: str, release: Release) -> None:
        self._worker, self._process = worker, process
        self._last_s = run.ports.clock.now_s()
        self._asking: Asking | None = None
        if worker.heartbeat_command:
            self._asking = run.ports.keep_asking(
                _asks(run, process, worker.heartbeat_command, release), interval_s=_ASK_EVERY_S
            )
        path = release.tree / worker.heartbeat_file.replace("{process}", process)
        self._read_age_s: Callable[[], float | None] = lambda: run.ports.read_age_s(path)
        self._why = ""

    def find_fault(self, now_s: float) -> Fault | None:
        if self._asking is None:
            age_s = self._read_age_s()
            self._last_s = max(self._last_s, now_s - age_s) if age_s is not None else self._last_s
        else:
            self._take(self._asking, now_s)
        silent_s, limit_s = now_s - self._last_s, self._worker.heartbeat_max_age_s
        if silent_s <= limit_s:
            return None
        why = f": {self._why}" if self._why else ""
        text = f"the worker {self._process} gave no sign of life for {silent_s:.0f} s, limit {limit_s:g}{why}"
        return Fault("heartbeat", text, self._process)

    def _take(self, asking: Asking, now_s: float) -> None:
        for answer in asking.take():
            if answer.ok:
                self._last_s = now_s
            self._why = answer.reason

    def close(self) -> None:
        if self._asking is not None:
            self._asking.close()


class _Depth:
    """A queue that was too long at the first question is nobody's fault that is known: it counts from when it has been
    shorter."""

    def __init__(self, run: Run, worker: WorkerSettings, release: Release, *, limit: int) -> None:
        self._name, self._process, self._limit = worker.name, worker.processes[0], limit
        ask = _asks(run, self._process, worker.queue_depth, release)
        self._asking = run.ports.keep_asking(ask, interval_s=_ASK_EVERY_S)
        self._has_been_short = False
        self._too_long_times = 0
        self._depth = 0

    def find_fault(self, now_s: float) -> Fault | None:  # noqa: ARG002
        for answer in self._asking.take():
            depth = _read_number(answer)
            if depth is None:
                continue
            self._depth = depth
            self._has_been_short = self._has_been_short or depth <= self._limit
            self._too_long_times = self._too_long_times + 1 if depth > self._limit else 0
        if not self._has_been_short or self._too_long_times < _TOO_LONG_TIMES:
            return None
        times = f"{self._too_long_times} times in a row"
        text = f"the queue of {self._name} has {self._depth} jobs, limit {self._limit}, {times}"
        return Fault("queue_depth", text, self._process)

    def close(self) -> None:
        self._asking.close()


def _asks(run: Run, process: str, command: str, release: Release) -> Callable[[], Answer]:
    ask, slot = run.ports.ask_process, run.plan.candidate
    return lambda: ask(process, slot, command, tree=release.tree, timeout_s=_ASK_LIMIT_S)


def _read_number(answer: Answer) -> int | None:
    """What stands in the last line."""
    text = answer.output_tail[-1].strip() if answer.ok and answer.output_tail else ""
    return int(text) if text.isdecimal() else None


def _describe_end(view: SlotView) -> str:
    code = f" with code {view.exit_code}" if view.exit_code is not None and view.exit_code >= 0 else ""
    return f"{code}: {view.exit_reason}" if view.exit_reason else code
