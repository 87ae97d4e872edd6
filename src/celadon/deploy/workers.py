"""The workers of both slots: who runs where, at each step, and making it so.

                 after the switch            at the bless                     on the way back
    overlap      new starts, old is quiet    old stops                        old starts again, new stops
    exclusive    old stops, new starts                                        new stops, old starts
    after-bless                              old stops, new starts

A worker that only one of the releases has is nobody's successor: it starts with its own release, and runs until the
bless where it is no more. Each of these is idempotent and asks the runners, not a memory, what is so: a recovery runs
the same function again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from celadon.contracts.asking import Asking, NoAsking
from celadon.deploy.run import Run
from celadon.events import WorkerFailed, WorkerQuieted, WorkerStarted, WorkerStopped
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import SlotStatus
from celadon.model.processes import Handover, WorkerSettings
from celadon.model.release import Release, SourceKind
from celadon.model.settings import Settings

_LOOK_EVERY_S: Final = 0.1
_ASK_IDLE_EVERY_S: Final = 0.25
_ASK_IDLE_LIMIT_S: Final = 5.0
_LEAST_GRACE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The workers of what runs, or is to run, in `slot`. `release` None: it cannot be read, so nothing is started."""

    slot: Slot
    release: Release | None
    workers: Mapping[str, WorkerSettings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One worker, by its name: as the release that comes has it, and as the one that goes. One of them may be None."""

    come: WorkerSettings | None
    go: WorkerSettings | None

    @property
    def handover(self) -> Handover:
        """That of the release that comes; but what may not run twice may not on either side of a change of that."""
        if self.come is None or self.go is None:
            return Handover.AFTER_BLESS if self.come is None else self.come.handover
        return Handover.EXCLUSIVE if self.go.handover is Handover.EXCLUSIVE else self.come.handover


def find_workers(release: Release | None, settings: Settings) -> tuple[WorkerSettings, ...]:
    """Those of `release`, of `settings` where it cannot be read. What ran before us has none that are ours, whatever
    the configuration said when it was taken over."""
    if release is None:
        return settings.workers
    return () if release.manifest.source.kind is SourceKind.ADOPTED else release.manifest.settings.workers


class HandingOver:
    """From the old release's workers to the new one's, while the window is open: nobody's answers go unread because a
    worker takes its time to end. Began when it was made, after the switch was seen."""

    def __init__(self, run: Run) -> None:
        new, old = _side(run, run.plan.candidate, run.plan.release), _side(run, run.plan.live, run.plan.live_release)
        self._run, self._new = run, new
        self._waiting: list[tuple[list[_Ending], WorkerSettings | None]] = []
        pairs = list(_pairs(new, old))
        run.old_workers_may_be_told = bool(pairs)
        self._is_told = not pairs
        for pair in pairs:
            match pair.handover:
                case Handover.OVERLAP:
                    _start(run, new, pair.come)
                    _quiet(run, old, pair.go)
                case Handover.EXCLUSIVE:
                    self._waiting.append((_begin_ending(run, old, pair.go), pair.come))
                case Handover.AFTER_BLESS:
                    pass

    def step(self) -> bool:
        """True when it is done. Blocks for no worker's grace. Raises StepError where one does not start or stop."""
        for waiting in list(self._waiting):
            endings, successor = waiting
            if _step_all(endings):
                _start(self._run, self._new, successor)
                self._waiting.remove(waiting)
        if not self._waiting and not self._is_told:
            self._is_told = True
            self._run.ports.reached("workers_handed_over")
        return not self._waiting

    def close(self) -> None:
        """Never blocks."""
        for endings, _ in self._waiting:
            for ending in endings:
                ending.close()


def settle_workers(run: Run, slot: Slot, release: ReleaseNumber | None, *, wake: bool = False) -> bool:
    """Those of `release` run in `slot`, and none in the other one: at the bless, after the way back, and where nothing
    is open. `wake`: those in `slot` that were told to begin nothing new, or to end, are started again. Blocks for the
    grace of each that stops. One that does not start is told, and stands in nobody's way: there is nowhere to go back
    to. True when anything had to be done. Raises StepError where one does not stop."""
    goes_number = run.plan.release if slot is run.plan.live else run.plan.live_release
    here, there = _side(run, slot, release), _side(run, slot.other, goes_number)
    changed = [_settle(run, pair, here, there, wake=wake) for pair in _pairs(here, there)]
    if changed:
        run.ports.reached("workers_settled")
    return any(changed)


def find_stray_worker(run: Run, slot: Slot) -> str:
    """A process of a worker that runs in `slot`, which has no traffic; empty when there is none."""
    for process in _known_processes(run, slot):
        if run.ports.runner_of(process).observe(slot).status is SlotStatus.RUNNING:
            return process
    return ""


def _known_processes(run: Run, slot: Slot) -> list[str]:
    sides = (_side(run, slot, run.plan.release), _side(run, slot, run.plan.live_release))
    workers = [worker for side in sides for worker in side.workers.values()]
    return sorted({process for worker in workers for process in worker.processes})


def _settle(run: Run, pair: Pair, here: Side, there: Side, *, wake: bool) -> bool:
    if pair.handover is Handover.OVERLAP:
        if wake and pair.come is not None and pair.come.quiet_signal:
            _quiet(run, there, pair.go)
            _end(run, here, pair.come)
        started = _try_start(run, here, pair.come)
        return _end(run, there, pair.go or pair.come) or started
    ended = _end(run, there, pair.go or pair.come)
    if wake and pair.handover is Handover.EXCLUSIVE:
        _end(run, here, pair.come)
    return _try_start(run, here, pair.come) or ended


def _pairs(come: Side, go: Side) -> Iterator[Pair]:
    for name in (*come.workers, *(name for name in go.workers if name not in come.workers)):
        yield Pair(come=come.workers.get(name), go=go.workers.get(name))


def _side(run: Run, slot: Slot | None, number: ReleaseNumber | None) -> Side:
    """A release that cannot be read has the workers of the plan; no slot, none."""
    if slot is None:
        return Side(slot=run.plan.candidate.other, release=None, workers={})
    release = None
    if number is not None:
        try:
            release = run.ports.releases.read(number)
        except (StepError, OSError):
            release = None
    workers = find_workers(release, run.plan.settings)
    return Side(slot=slot, release=release, workers={worker.name: worker for worker in workers})


def _try_start(run: Run, side: Side, worker: WorkerSettings | None) -> bool:
    try:
        return _start(run, side, worker)
    except StepError as error:
        name = worker.name if worker is not None else ""
        run.note(WorkerFailed(worker=name, slot=side.slot, reason=error.what))
        run.blame(f"the worker {name} does not start: {error.what}", code=error.code, next_command=error.next_command)
        return True


def _start(run: Run, side: Side, worker: WorkerSettings | None) -> bool:
    """True when one was started."""
    if worker is None or side.release is None:
        return False
    started = False
    for process in worker.processes:
        runner = run.ports.runner_of(process)
        view = runner.observe(side.slot)
        if view.status is SlotStatus.RUNNING and view.release == side.release.number:
            runner.set_boot(side.slot, enabled=True)
            continue
        if view.status is not SlotStatus.STOPPED:
            runner.stop(side.slot, grace_s=worker.grace_s)
        run.ports.reached("worker_starting")
        view = runner.start(side.slot, side.release)
        run.ports.reached("worker_started")
        runner.set_boot(side.slot, enabled=True)
        pid = view.pids[0] if view.pids else None
        run.note(WorkerStarted(worker=process, slot=side.slot, release=side.release.number, pid=pid))
        started = True
    return started


def _quiet(run: Run, side: Side, worker: WorkerSettings | None) -> None:
    """What it has begun it ends, until it is stopped."""
    if worker is None or not worker.quiet_signal:
        return
    for process in worker.processes:
        run.ports.runner_of(process).signal(side.slot, worker.quiet_signal)
        run.note(WorkerQuieted(worker=process, slot=side.slot, signal=worker.quiet_signal))
        run.ports.reached("worker_quieted")


def _end(run: Run, side: Side, worker: WorkerSettings | None) -> bool:
    """True when anything was ended. Blocks for its grace, however many replicas there are."""
    endings = _begin_ending(run, side, worker)
    try:
        while not _step_all(endings):
            run.ports.clock.wait(_LOOK_EVERY_S)
    finally:
        for ending in endings:
            ending.close()
    return any(ending.had_to for ending in endings)


def _begin_ending(run: Run, side: Side, worker: WorkerSettings | None) -> "list[_Ending]":
    return [_Ending(run, side, worker, process) for process in worker.processes] if worker is not None else []


def _step_all(endings: "list[_Ending]") -> bool:
    over = [ending.step() for ending in endings]
    return all(over)


class _Ending:
    """One process on its way out: quiet, waited for until it is idle, told to end, killed when its grace is over. Began
    when it was made. `had_to`: something ran there, or its end was still to be cleared away."""

    def __init__(self, run: Run, side: Side, worker: WorkerSettings, process: str) -> None:
        self._run, self._slot, self._worker, self._process = run, side.slot, worker, process
        self._runner = run.ports.runner_of(process)
        self._began_s = run.ports.clock.now_s()
        self._asking: Asking = NoAsking()
        self._is_told = False
        # not started at boot any more, before anything else: a machine that restarts now must not have it
        self._runner.set_boot(self._slot, enabled=False)
        self.had_to = self._runner.observe(self._slot).status is not SlotStatus.STOPPED
        self._is_over = not self.had_to
        if not self._is_over:
            run.ports.reached("worker_stopping")
            self._begin(side)

    def _begin(self, side: Side) -> None:
        if self._worker.quiet_signal:
            self._runner.signal(self._slot, self._worker.quiet_signal)
        if not self._worker.idle or side.release is None:
            self._tell()
            return
        ask, command, tree = self._run.ports.ask_process, self._worker.idle, side.release.tree
        self._asking = self._run.ports.keep_asking(
            lambda: ask(self._process, self._slot, command, tree=tree, timeout_s=_ASK_IDLE_LIMIT_S),
            interval_s=_ASK_IDLE_EVERY_S,
        )

    def _tell(self) -> None:
        self._runner.signal(self._slot, self._worker.stop_signal)
        self._is_told = True

    def step(self) -> bool:
        """True when it is over. Raises StepError when something survived."""
        if self._is_over:
            return True
        runs = self._runner.observe(self._slot).status is SlotStatus.RUNNING
        elapsed_s = self._run.ports.clock.now_s() - self._began_s
        if runs and elapsed_s < self._worker.grace_s:
            if not self._is_told and any(answer.ok for answer in self._asking.take()):
                self._tell()
            return False
        is_late = runs and self._is_told
        if is_late:
            self._runner.signal(self._slot, "SIGKILL")
        stopped = self._runner.stop(self._slot, grace_s=0.0 if is_late else _LEAST_GRACE_S)
        self._is_over = True
        self._run.ports.reached("worker_stopped")
        killed, took_s = is_late or stopped.killed, self._run.ports.clock.now_s() - self._began_s
        self._run.note(WorkerStopped(worker=self._process, slot=self._slot, killed=killed, duration_s=took_s))
        return True

    def close(self) -> None:
        """Never blocks."""
        self._asking.close()
