"""The window on the live slot as it is now, without a deploy: the engine's own, which records nothing and moves nothing
here."""

from collections.abc import Callable, Sequence
from time import time

from msgspec.structs import replace

from celadon.app.compose import make_ports, make_proxy
from celadon.app.inforce import require_in_force
from celadon.contracts.control import Asked
from celadon.contracts.runner import Runner
from celadon.deploy.observe import watch
from celadon.deploy.run import Run
from celadon.events import Entry, Event, VerdictReached, WindowSampled
from celadon.host.control import HostClock
from celadon.host.layout import Layout
from celadon.model.errors import UsageError
from celadon.model.names import OperationId, ReleaseNumber, Slot
from celadon.model.observed import SlotStatus
from celadon.model.plan import OperationKind, Plan
from celadon.model.verdict import Verdict

_OPERATION = OperationId("dry-run")


def judge_live_slot(layout: Layout, *, window_s: float | None, tell: Callable[[WindowSampled], None]) -> Verdict:
    """What a window that opened now would say of the release that is live, with the other slot as the control where one
    runs. Runs the app's journeys, as a window does. Blocks for `window_s` (None: as long as the app's own), unless it
    is decided before; `tell` is called about once a second. Raises UsageError where nothing is live."""
    settings = require_in_force(layout)
    slot = make_proxy(layout, settings).observe().slot
    if slot is None:
        raise UsageError("no slot has traffic", code="nothing_live", next_command="celadon status")
    length_s = window_s or settings.observe.window_s
    settings = replace(settings, observe=replace(settings.observe, window_s=length_s, max_window_s=None))
    told = _Told(layout, tell)
    ports = make_ports(layout, settings, journal=told, clock=HostClock(), control=_Nobody(), candidate=slot)
    plan = Plan(
        operation=_OPERATION,
        kind=OperationKind.DEPLOY,
        app=layout.app,
        lead="",
        candidate=slot,
        live=slot.other,
        live_release=_find_release(ports.runner, slot.other),
        release=_find_release(ports.runner, slot),
        settings=settings,
    )
    run = Run(plan=plan, ports=ports, restarts_count=ports.runner.observe(slot).restarts_count)
    watch(run, window_s=length_s)
    run.release_held()
    return told.verdict()


def _find_release(runner: Runner, slot: Slot) -> ReleaseNumber | None:
    """Of a slot that is hot."""
    view = runner.observe(slot)
    return view.release if view.status is SlotStatus.RUNNING else None


class _Told:
    """Implements contracts.journal.Journal and keeps the verdict only."""

    def __init__(self, layout: Layout, tell: Callable[[WindowSampled], None]) -> None:
        self._layout = layout
        self._tell = tell
        self._reached: list[VerdictReached] = []

    def append(self, *events: Event) -> Entry:
        for event in events:
            if isinstance(event, WindowSampled):
                self._tell(event)
            if isinstance(event, VerdictReached):
                self._reached.append(event)
        return Entry(sequence=0, operation=_OPERATION, app=self._layout.app, at=time(), body=events[-1])

    def read(self, *, after: int = 0, operation: OperationId | None = None) -> Sequence[Entry]:  # noqa: ARG002
        return ()

    def verdict(self) -> Verdict:
        """A window that nobody ends by hand ends with one."""
        [reached] = self._reached
        return Verdict(judgement=reached.judgement, rule=reached.rule, reason=reached.reason, evidence=reached.evidence)


class _Nobody:
    """Implements contracts.control.Control: nothing is asked of what is no operation."""

    def asked(self) -> Asked | None:
        return None

    def taken(self) -> None: ...
