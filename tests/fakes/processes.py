"""The other processes of an app in the world's memory: its release command, its workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import Answer, Finding, SlotStatus, SlotView, Stopped
from celadon.model.processes import RELEASE, Handover, find_worker_name
from celadon.model.release import Release

if TYPE_CHECKING:
    from tests.fakes.world import World

_FOR_EVER = float("inf")


@dataclass
class Other:
    """`restarts_count` is of one that is started again by itself."""

    pid: int
    release: ReleaseNumber
    ends_at_s: float = _FOR_EVER
    is_quiet: bool = False
    restarts_count: int = 0


@dataclass
class Others:
    """`done` is what was asked of them, in order; `doubled` are exclusive ones that were started beside another one.
    `short_lived` are processes of a release that end so many seconds after their start, `unstartable` those that cannot
    be started. `busy_until_s`: no idle command says yes before."""

    running: dict[tuple[str, Slot], Other] = field(default_factory=dict)
    boot: dict[tuple[str, Slot], ReleaseNumber] = field(default_factory=dict)
    done: list[tuple[str, str, Slot]] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stop_takes_s: float = 0.0
    short_lived: dict[tuple[str, int], float] = field(default_factory=dict)
    unstartable: set[tuple[str, int]] = field(default_factory=set)
    busy_until_s: float = 0.0
    beats_until_s: float = _FOR_EVER
    depth: str = "0"
    release_takes_s: float = 0.2
    release_exit_code: int = 0

    def names(self, verb: str) -> list[tuple[str, Slot]]:
        return [(name, slot) for done, name, slot in self.done if done == verb]

    def in_slot(self, slot: Slot) -> dict[str, int]:
        """Names of those that run there, with their releases."""
        return {name: other.release for (name, at), other in sorted(self.running.items()) if at is slot}

    def find_beside(self, name: str, slot: Slot) -> bool:
        worker = find_worker_name(name)
        return any(find_worker_name(each) == worker and at is not slot for each, at in self.running)


class WorldOther:
    """Implements contracts.runner.Runner for the process `name`."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.others = world.others
        self.name = name

    def check(self) -> Sequence[Finding]:
        return ()

    def start(self, slot: Slot, release: Release) -> SlotView:
        if (self.name, release.number) in self.others.unstartable:
            raise StepError(f"{self.name}: no such program", code="start_failed", next_command="celadon logs")
        if self.observe(slot).status is not SlotStatus.RUNNING:
            self.others.done.append(("start", self.name, slot))
            workers = {worker.name: worker for worker in release.manifest.settings.workers}
            worker = workers.get(find_worker_name(self.name))
            is_exclusive = worker is not None and worker.handover is Handover.EXCLUSIVE
            if is_exclusive and self.others.find_beside(self.name, slot):
                self.others.doubled.append(self.name)
            self.spawn(slot, release.number)
        return self.observe(slot)

    def spawn(self, slot: Slot, release: ReleaseNumber) -> None:
        takes_s = self.others.short_lived.get((self.name, release), _FOR_EVER)
        if self.name == RELEASE:
            takes_s = self.others.release_takes_s
        self.world.next_pid += 1
        self.others.running[self.name, slot] = Other(self.world.next_pid, release, self.world.now_s + takes_s)

    def observe(self, slot: Slot) -> SlotView:
        other = self.others.running.get((self.name, slot))
        if other is None:
            return SlotView(slot=slot, status=SlotStatus.STOPPED)
        if self.world.now_s >= other.ends_at_s:
            code = self.others.release_exit_code
            return SlotView(slot=slot, status=SlotStatus.EXITED, release=other.release, exit_code=code)
        return SlotView(
            slot=slot,
            status=SlotStatus.RUNNING,
            release=other.release,
            pids=(other.pid,),
            restarts_count=other.restarts_count,
        )

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        if enabled:
            self.others.boot[self.name, slot] = self.others.running[self.name, slot].release
        else:
            self.others.boot.pop((self.name, slot), None)

    def signal(self, slot: Slot, name: str) -> None:
        if self.observe(slot).status is SlotStatus.RUNNING:
            other = self.others.running[self.name, slot]
            if name == "SIGTERM":
                other.ends_at_s = min(other.ends_at_s, self.world.now_s + self.others.stop_takes_s)
            else:
                self.others.done.append((name, self.name, slot))
            other.is_quiet = True

    def stop(self, slot: Slot, *, grace_s: float) -> Stopped:
        if self.others.running.pop((self.name, slot), None) is not None:
            self.others.done.append(("stop", self.name, slot))
        return Stopped(slot=slot, killed=False, took_s=0.0)

    def tail(self, slot: Slot, *, lines_count: int) -> Sequence[str]:
        return ("migrating", "no such column")


def ask_other(world: World, process: str, slot: Slot, command: str, *, tree: Path, timeout_s: float) -> Answer:
    """Its idle, heartbeat or queue command."""
    if command == "./depth":
        return Answer(ok=True, latency_ms=1.0, output_tail=(world.others.depth,))
    is_idle, beats = world.now_s >= world.others.busy_until_s, world.now_s < world.others.beats_until_s
    ok = beats if command == "./beat" else is_idle
    return Answer(ok=ok, latency_ms=1.0, reason="" if ok else "exit code 1")


def reboot_others(world: World) -> None:
    """As all else: what is enabled starts, and an exclusive worker that does so twice is told."""
    others = world.others
    others.running.clear()
    for (name, slot), release in list(others.boot.items()):
        settings = world.settings_of.get(release)
        workers = {worker.name: worker for worker in settings.workers} if settings is not None else {}
        worker = workers.get(find_worker_name(name))
        if worker is not None and worker.handover is Handover.EXCLUSIVE and others.find_beside(name, slot):
            others.doubled.append(name)
        WorldOther(world, name).spawn(slot, release)
