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

from celadon.deploy.run import Run
from celadon.events import WorkerFailed, WorkerQuieted, WorkerStarted, WorkerStopped
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import SlotStatus
from celadon.model.processes import Handover, WorkerSettings
from celadon.model.release import Release

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


def hand_over(run: Run) -> None:
    """After the switch was seen. Blocks for the grace of each exclusive worker. Raises StepError where one does not
    start or stop."""
    new, old = _side(run, run.plan.candidate, run.plan.release), _side(run, run.plan.live, run.plan.live_release)
    if new is None or not (new.workers or (old is not None and old.workers)):
        return
    run.old_workers_may_be_quiet = True
    for pair in _pairs(new, old):
        match pair.handover:
            case Handover.OVERLAP:
                _start(run, new, pair.come)
                _quiet(run, old, pair.go)
            case Handover.EXCLUSIVE:
                _end(run, old, pair.go)
                _start(run, new, pair.come)
            case Handover.AFTER_BLESS:
                pass
    run.ports.reached("workers_handed_over")


def settle_workers(run: Run, slot: Slot, release: ReleaseNumber | None, *, wake: bool = False) -> bool:
    """Those of `release` run in `slot`, and none in the other one: at the bless, after the way back, and where nothing
    is open. `wake`: those in `slot` that were told to begin nothing new are started again. Blocks for the grace of each
    that stops. One that does not start is told, and stands in nobody's way: there is nowhere to go back to. True when
    anything had to be done. Raises StepError where one does not stop."""
    goes_number = run.plan.release if slot is run.plan.live else run.plan.live_release
    here, there = _side(run, slot, release), _side(run, slot.other, goes_number)
    if here is None or there is None:
        return False
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
    workers = [worker for side in sides if side is not None for worker in side.workers.values()]
    return sorted({process for worker in workers for process in worker.processes})


def _settle(run: Run, pair: Pair, here: Side, there: Side, *, wake: bool) -> bool:
    if wake and pair.handover is Handover.OVERLAP and pair.come is not None and pair.come.quiet_signal:
        _quiet(run, there, pair.go)
        _end(run, here, pair.come)
    if pair.handover is Handover.OVERLAP:
        started = _try_start(run, here, pair.come)
        return _end(run, there, pair.go or pair.come) or started
    ended = _end(run, there, pair.go or pair.come)
    return _try_start(run, here, pair.come) or ended


def _pairs(come: Side, go: Side | None) -> Iterator[Pair]:
    goes = go.workers if go is not None else {}
    for name in (*come.workers, *(name for name in goes if name not in come.workers)):
        yield Pair(come=come.workers.get(name), go=goes.get(name))


def _side(run: Run, slot: Slot | None, number: ReleaseNumber | None) -> Side | None:
    """A release that cannot be read has the workers of the plan."""
    if slot is None:
        return None
    release = None
    if number is not None:
        try:
            release = run.ports.releases.read(number)
        except (StepError, OSError):
            release = None
    settings = release.manifest.settings if release is not None else run.plan.settings
    return Side(slot=slot, release=release, workers={worker.name: worker for worker in settings.workers})


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
            _end_process(run, side, worker, process)
        run.ports.reached("worker_starting")
        view = runner.start(side.slot, side.release)
        run.ports.reached("worker_started")
        runner.set_boot(side.slot, enabled=True)
        pid = view.pids[0] if view.pids else None
        run.note(WorkerStarted(worker=process, slot=side.slot, release=side.release.number, pid=pid))
        started = True
    return started


def _quiet(run: Run, side: Side | None, worker: WorkerSettings | None) -> None:
    """What it has begun it ends, until it is stopped."""
    if side is None or worker is None or not worker.quiet_signal:
        return
    for process in worker.processes:
        run.ports.runner_of(process).signal(side.slot, worker.quiet_signal)
        run.note(WorkerQuieted(worker=process, slot=side.slot, signal=worker.quiet_signal))
        run.ports.reached("worker_quieted")


def _end(run: Run, side: Side | None, worker: WorkerSettings | None) -> bool:
    """True when one was ended. All of a worker's processes are quiet before the first of them is waited for."""
    if side is None or worker is None:
        return False
    if worker.quiet_signal:
        for process in worker.processes:
            run.ports.runner_of(process).signal(side.slot, worker.quiet_signal)
    ended = [_end_process(run, side, worker, process) for process in worker.processes]
    return any(ended)


def _end_process(run: Run, side: Side, worker: WorkerSettings, process: str) -> bool:
    """It is not started at boot any more, before anything else: a machine that restarts now must not have it."""
    runner, clock = run.ports.runner_of(process), run.ports.clock
    runner.set_boot(side.slot, enabled=False)
    if runner.observe(side.slot).status is SlotStatus.STOPPED:
        return False
    began_s = clock.now_s()
    run.ports.reached("worker_stopping")
    _await_idle(run, side, worker, process, until_s=began_s + worker.grace_s)
    grace_s = max(_LEAST_GRACE_S, began_s + worker.grace_s - clock.now_s())
    stopped = runner.stop(side.slot, grace_s=grace_s)
    run.ports.reached("worker_stopped")
    run.note(WorkerStopped(worker=process, slot=side.slot, killed=stopped.killed, duration_s=clock.now_s() - began_s))
    return True


def _await_idle(run: Run, side: Side, worker: WorkerSettings, process: str, *, until_s: float) -> None:
    """Until its own command says so, where it has one."""
    if not worker.idle or side.release is None:
        return
    ports = run.ports
    while ports.clock.now_s() < until_s and ports.runner_of(process).observe(side.slot).status is SlotStatus.RUNNING:
        limit_s = min(_ASK_IDLE_LIMIT_S, max(_LEAST_GRACE_S, until_s - ports.clock.now_s()))
        answer = ports.ask_process(process, side.slot, worker.idle, tree=side.release.tree, timeout_s=limit_s)
        if answer.ok:
            return
        ports.clock.wait(_ASK_IDLE_EVERY_S)
