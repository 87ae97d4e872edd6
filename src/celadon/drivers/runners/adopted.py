"""What ran before us: an app's running unit or processes, taken as what runs in a slot, without a restart.

It is observed, and stopped like any other when a later release has earned its place. With a unit it can be started
again, in its own slot, since its address is its own; without one nobody here knows how.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.contracts.runner import Runner
from celadon.host.commands import run_command
from celadon.host.files import remove_durably, write_atomic
from celadon.host.layout import Layout
from celadon.host.processes import (
    ProcessIdentity,
    end_processes,
    find_with_descendants,
    identify,
    signal_process,
    sum_rss_bytes,
)
from celadon.host.text import escape_controls
from celadon.host.units import Systemctl, pids_of
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import Finding, SlotStatus, SlotView, Stopped
from celadon.model.release import Release, SourceKind

_STOP_TIMEOUT_S = 120.0
_TAIL_TIMEOUT_S = 5.0


class Adopted(Struct, frozen=True, kw_only=True):
    """`adopted.json` of a slot, until another release is started there. `unit` is empty for plain `processes`."""

    release: ReleaseNumber
    unit: str = ""
    processes: tuple[ProcessIdentity, ...] = ()
    stopped: bool = False


def adopt_running(layout: Layout, slot: Slot, *, release: ReleaseNumber, unit: str, pids: Sequence[int]) -> None:
    """Durable. Touches no process."""
    found = tuple(identity for pid in sorted(pids) if (identity := identify(pid)) is not None)
    _write(layout, slot, Adopted(release=release, unit=unit, processes=found))


def forget_adopted(layout: Layout, slot: Slot) -> None:
    """Idempotent."""
    remove_durably(_path(layout, slot))


def read_adopted(layout: Layout) -> Mapping[Slot, Adopted]:
    """By slot; empty for an app that was never adopted: two looks at the disk."""
    found = {}
    for slot in Slot:
        try:
            found[slot] = msgspec.json.decode(_path(layout, slot).read_bytes(), type=Adopted)
        except FileNotFoundError:
            continue
    return found


class AdoptedRunner:
    """Implements contracts.runner.Runner: `inner` for what we started, itself for what we found."""

    def __init__(self, layout: Layout, inner: Runner) -> None:
        self._layout = layout
        self._inner = inner
        self._systemctl = Systemctl(user_manager=False)

    def check(self) -> Sequence[Finding]:
        return self._inner.check()

    def start(self, slot: Slot, release: Release) -> SlotView:
        found = self._read(slot)
        if release.manifest.source.kind is SourceKind.ADOPTED:
            return self._start_again(slot, found, release)
        if found is not None:
            forget_adopted(self._layout, slot)
        return self._inner.start(slot, release)

    def observe(self, slot: Slot) -> SlotView:
        found = self._read(slot)
        if found is None:
            return self._inner.observe(slot)
        pids = self._pids(found)
        ended = SlotStatus.STOPPED if found.stopped else SlotStatus.EXITED
        status = SlotStatus.RUNNING if pids else ended
        return SlotView(slot=slot, status=status, release=found.release, pids=pids, rss_bytes=sum_rss_bytes(pids))

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        found = self._read(slot)
        if found is None:
            self._inner.set_boot(slot, enabled=enabled)
        elif found.unit:
            word = "enable" if enabled else "disable"
            self._systemctl.require(word, "--quiet", found.unit, code="boot_not_set")

    def signal(self, slot: Slot, name: str) -> None:
        found = self._read(slot)
        if found is None:
            self._inner.signal(slot, name)
            return
        signal_process(next(map(identify, self._pids(found)), None), name)

    def stop(self, slot: Slot, *, grace_s: float) -> Stopped:
        found = self._read(slot)
        if found is None:
            return self._inner.stop(slot, grace_s=grace_s)
        began_s = time.monotonic()
        killed = self._end(slot, found, grace_s=grace_s)
        _write(self._layout, slot, msgspec.structs.replace(found, stopped=True))
        return Stopped(slot=slot, killed=killed, took_s=time.monotonic() - began_s)

    def tail(self, slot: Slot, *, lines_count: int) -> Sequence[str]:
        """Plain processes write where we cannot know."""
        found = self._read(slot)
        if found is None:
            return self._inner.tail(slot, lines_count=lines_count)
        if not found.unit:
            return ()
        argv = ["journalctl", "--quiet", "--output=cat", f"--lines={lines_count}", f"--unit={found.unit}"]
        lines = run_command(argv, timeout_s=_TAIL_TIMEOUT_S).stdout.splitlines()
        return [escape_controls(line) for line in lines]

    def _start_again(self, slot: Slot, found: Adopted | None, release: Release) -> SlotView:
        if found is None or found.release != release.number:
            raise StepError(
                f"{release.label} ran before celadon, at an address of its own: it cannot run in {slot}",
                code="adopted_elsewhere",
                next_command="celadon releases",
            )
        if not self._pids(found):
            if not found.unit:
                raise StepError(
                    f"{release.label} ran before celadon, and no unit says how it is started",
                    code="adopted_not_startable",
                    next_command="celadon releases",
                )
            self._systemctl.require("start", found.unit, code="start_failed")
        _write(self._layout, slot, msgspec.structs.replace(found, stopped=False))
        return self.observe(slot)

    def _end(self, slot: Slot, found: Adopted, *, grace_s: float) -> bool:
        """A unit's grace is its own TimeoutStopSec."""
        if found.unit:
            self._systemctl.call("stop", found.unit, timeout_s=_STOP_TIMEOUT_S)
            if self._pids(found):
                raise StepError(
                    f"systemctl stop {found.unit} left it running", code="not_stopped", next_command="celadon status"
                )
            return self._systemctl.show(found.unit).get("Result") == "timeout"
        try:
            return end_processes(lambda: find_with_descendants(found.processes), grace_s=grace_s)
        except TimeoutError as error:
            raise StepError(f"slot {slot}: {error}", code="not_stopped", next_command="celadon status") from error

    def _pids(self, found: Adopted) -> tuple[int, ...]:
        if found.unit:
            return pids_of(self._systemctl.show(found.unit))
        return tuple(find_with_descendants(found.processes))

    def _read(self, slot: Slot) -> Adopted | None:
        return read_adopted(self._layout).get(slot)


def _path(layout: Layout, slot: Slot) -> Path:
    return layout.slot(slot) / "adopted.json"


def _write(layout: Layout, slot: Slot, adopted: Adopted) -> None:
    layout.slot(slot).mkdir(parents=True, exist_ok=True)
    write_atomic(_path(layout, slot), msgspec.json.encode(adopted))
