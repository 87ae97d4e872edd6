"""The other processes of an app in the world's memory: its release command, its workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import Finding, SlotStatus, SlotView, Stopped
from celadon.model.processes import RELEASE
from celadon.model.release import Release

if TYPE_CHECKING:
    from tests.fakes.world import World


@dataclass
class Other:
    pid: int
    release: ReleaseNumber
    ends_at_s: float = float("inf")


@dataclass
class Others:
    """`done` is what was asked of them, in order."""

    running: dict[tuple[str, Slot], Other] = field(default_factory=dict)
    done: list[tuple[str, str, Slot]] = field(default_factory=list)
    release_takes_s: float = 0.2
    release_exit_code: int = 0

    def names(self, verb: str) -> list[tuple[str, Slot]]:
        return [(name, slot) for done, name, slot in self.done if done == verb]


class WorldOther:
    """Implements contracts.runner.Runner for the process `name`."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.others = world.others
        self.name = name

    def check(self) -> Sequence[Finding]:
        return ()

    def start(self, slot: Slot, release: Release) -> SlotView:
        if self.observe(slot).status is not SlotStatus.RUNNING:
            self.others.done.append(("start", self.name, slot))
            ends_at_s = self.world.now_s + self.others.release_takes_s if self.name == RELEASE else float("inf")
            self.world.next_pid += 1
            self.others.running[self.name, slot] = Other(self.world.next_pid, release.number, ends_at_s)
        return self.observe(slot)

    def observe(self, slot: Slot) -> SlotView:
        other = self.others.running.get((self.name, slot))
        if other is None:
            return SlotView(slot=slot, status=SlotStatus.STOPPED)
        if self.world.now_s >= other.ends_at_s:
            code = self.others.release_exit_code
            return SlotView(slot=slot, status=SlotStatus.EXITED, release=other.release, exit_code=code)
        return SlotView(slot=slot, status=SlotStatus.RUNNING, release=other.release, pids=(other.pid,))

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        pass

    def stop(self, slot: Slot, *, grace_s: float) -> Stopped:
        if self.others.running.pop((self.name, slot), None) is not None:
            self.others.done.append(("stop", self.name, slot))
        return Stopped(slot=slot, killed=False, took_s=0.0)

    def tail(self, slot: Slot, *, lines_count: int) -> Sequence[str]:
        return ("migrating", "no such column")
