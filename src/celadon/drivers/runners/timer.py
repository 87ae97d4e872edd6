"""A worker with a schedule, under systemd: one timer for both slots, which starts the unit of the one that it is given.

A timer a slot, stopped in the one and started in the other, misses what falls into the gap, and its memory of when it
fired last is the other one's. Here the timer goes on over a switch and only what it starts is exchanged, by the rename
of one small file: each instant of the schedule is taken once, by the one release or by the other. A job that has begun
is ended by nobody: it is the old release's, and ends by itself.
"""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from celadon.drivers.runners.systemd import SystemdRunner, escape, unit_name, write_unit
from celadon.host.boot import default_units
from celadon.host.checkpoint import reached
from celadon.host.files import remove_durably, write_atomic
from celadon.host.layout import Layout
from celadon.host.units import Systemctl
from celadon.model.names import Slot
from celadon.model.observed import Finding, SlotStatus, SlotView, Stopped
from celadon.model.processes import find_worker_name
from celadon.model.release import Release
from celadon.model.settings import Settings


def timer_name(app: str, process: str) -> str:
    return f"celadon-{app}.{process}.timer"


def render_timer(app: str, process: str, *, schedule: str) -> str:
    """Pure."""
    return "\n".join(
        [
            f"# Written by celadon for {app} {process}. To change it, change celadon.toml and deploy.",
            "[Unit]",
            f"Description={app} {process}, scheduled by celadon",
            "",
            "[Timer]",
            f"OnCalendar={escape(schedule)}",
            "AccuracySec=1s",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def render_starter(app: str, process: str, *, pointer: Path, scope: str) -> str:
    """Pure. Reads the pointer once: what it starts is of one slot as a whole."""
    unit = f"$$(cat {escape(shlex.quote(str(pointer)))})"
    return "\n".join(
        [
            f"# Written by celadon for {app} {process}.",
            "[Unit]",
            f"Description={app} {process}, of the release that is live",
            "",
            "[Service]",
            "Type=oneshot",
            f'ExecStart=/bin/sh -c "exec systemctl {scope}start --no-block {unit}"',
            "",
        ]
    )


class TimerRunner:
    """Implements contracts.runner.Runner: itself for a release in which the worker has a schedule, `inner` for any
    other."""

    def __init__(
        self, layout: Layout, settings: Settings, inner: SystemdRunner, *, unit_directory: Path | None = None
    ) -> None:
        self._layout = layout
        self._app, self._process = settings.app, layout.process
        self._inner = inner
        self._user_manager = settings.web.systemd.user_manager
        self._systemctl = Systemctl(user_manager=self._user_manager)
        self._units = unit_directory or default_units(user_manager=self._user_manager)
        self._timer = timer_name(settings.app, layout.process)

    def check(self) -> Sequence[Finding]:
        return self._inner.check()

    def start(self, slot: Slot, release: Release) -> SlotView:
        workers = {worker.name: worker for worker in release.manifest.settings.workers}
        worker = workers.get(find_worker_name(self._process))
        if worker is None or not worker.schedule:
            self._mark(slot).unlink(missing_ok=True)
            return self._inner.start(slot, release)
        self._inner.prepare(slot, release)
        write_atomic(self._mark(slot), "")
        scope = "--user " if self._user_manager else ""
        starter = render_starter(self._app, self._process, pointer=self._pointer, scope=scope)
        changed = write_unit(self._units / self._timer.replace(".timer", ".service"), starter)
        timer = render_timer(self._app, self._process, schedule=worker.schedule)
        if write_unit(self._units / self._timer, timer) or changed:
            self._systemctl.require("daemon-reload", code="unit_not_loaded")
        write_atomic(self._pointer, f"{unit_name(self._app, slot, process=self._process)}\n")
        reached("timer_pointed")
        self._systemctl.require("start", self._timer, code="start_failed")
        return self.observe(slot)

    def observe(self, slot: Slot) -> SlotView:
        view = self._inner.observe(slot)
        if not self._is_marked(slot):
            return view
        if not self._points_to(slot):
            return SlotView(slot=slot, status=SlotStatus.STOPPED, release=view.release)
        if self._systemctl.show(self._timer).get("ActiveState") == "active":
            return SlotView(slot=slot, status=SlotStatus.RUNNING, release=view.release)
        reason = "its timer does not run"
        return SlotView(slot=slot, status=SlotStatus.EXITED, release=view.release, exit_reason=reason)

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        if self._points_to(slot):
            self._systemctl.require("enable" if enabled else "disable", "--quiet", self._timer, code="boot_not_set")
        elif not self._is_marked(slot):
            self._inner.set_boot(slot, enabled=enabled)

    def signal(self, slot: Slot, name: str) -> None:
        """A timer hears of nothing but its end."""
        if self._points_to(slot):
            self._systemctl.require("stop", self._timer, code="not_stopped")
        elif not self._is_marked(slot):
            self._inner.signal(slot, name)

    def stop(self, slot: Slot, *, grace_s: float) -> Stopped:
        if not self._is_marked(slot):
            return self._inner.stop(slot, grace_s=grace_s)
        began_s = time.monotonic()
        if self._points_to(slot):
            self._systemctl.require("stop", self._timer, code="not_stopped")
            remove_durably(self._pointer)
        return Stopped(slot=slot, killed=False, took_s=time.monotonic() - began_s)

    def tail(self, slot: Slot, *, lines_count: int) -> Sequence[str]:
        return self._inner.tail(slot, lines_count=lines_count)

    @property
    def _pointer(self) -> Path:
        return self._layout.slot(Slot.BLUE).parent / "next"

    def _points_to(self, slot: Slot) -> bool:
        try:
            return self._pointer.read_text().strip() == unit_name(self._app, slot, process=self._process)
        except FileNotFoundError:
            return False

    def _mark(self, slot: Slot) -> Path:
        return self._layout.slot(slot) / "scheduled"

    def _is_marked(self, slot: Slot) -> bool:
        return self._mark(slot).exists()
