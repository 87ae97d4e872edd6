"""One run of the engine: its plan, its ports, and the little it learns on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from celadon.contracts.asking import Asking, AskProcess, KeepAsking
from celadon.contracts.assets import Assets
from celadon.contracts.baselines import Baselines
from celadon.contracts.control import Clock, Control
from celadon.contracts.counters import Counters
from celadon.contracts.hooks import Hooks
from celadon.contracts.host import Host
from celadon.contracts.journal import Journal
from celadon.contracts.journeys import Journeys
from celadon.contracts.judge import MakeJudge
from celadon.contracts.probe import Probe
from celadon.contracts.proxy import Proxy
from celadon.contracts.releases import Releases
from celadon.contracts.runner import Runner
from celadon.contracts.sockets import Sockets
from celadon.events import Event, RequestTaken
from celadon.model.address import Address
from celadon.model.baseline import Learned
from celadon.model.errors import JournalError, StepError
from celadon.model.lingering import Lingering
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.plan import Plan, Request
from celadon.model.release import Release
from celadon.model.settings import ReadinessSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything outside the engine. `reached` is told every named point that is passed; a test may end
    the process there. `probe` asks the candidate's readiness question, `make_probe` another one of a slot; `ask_on`
    goes on asking a slot until it is closed. `leave_line` sends one request of ours through the proxy and says whether
    its line must be in the log. `find_edited` names files that we wrote for the proxy and that were edited by hand
    since. `runner_of` is the runner of another process of the app, by its name;
    `read_age_s` how long ago a file was written, None where there is none."""

    proxy: Proxy
    runner: Runner
    assets: Assets
    runner_of: Callable[[str], Runner]
    probe: Probe
    make_probe: Callable[[Slot, ReadinessSettings], Probe]
    journeys: Journeys
    sockets: Sockets
    host: Host
    releases: Releases
    journal: Journal
    hooks: Hooks
    clock: Clock
    control: Control
    make_judge: MakeJudge
    baselines: Baselines
    make_counters: Callable[[], Counters]
    leave_line: Callable[[], bool]
    ask_on: Callable[[Slot, ReadinessSettings], Asking]
    keep_asking: KeepAsking
    ask_process: AskProcess
    read_age_s: Callable[[Path], float | None]
    reached: Callable[[str], None]
    find_edited: Callable[[], Sequence[Path]]


@dataclass(slots=True, kw_only=True)
class Run:
    """`insistent`: the journal may fail without stopping the step (see RETREATS). `reason`, `code` and
    `next_command` are of the first failure: what led here, not what followed. `switch_is_intended` turns true
    when the intent to move the route is about to be recorded; `restarts_count` is how often the candidate had been
    started again by then, `share_percent` what it was seen to get. `pace_ms` is what the live slot's readiness took
    before anything was done, None where nobody asked. `moved_at_s`: when this process last saw the route move to one
    slot alone, by the clock's time. `down_since_s` is when the slot with the traffic was told to stop, None while one
    serves; `down_s` how long none did before. `old_workers_may_be_told` is false while this process knows that nobody
    has told them to begin nothing new, or to end. `lingering` is the slot that lives on for its streams, as the journal
    has it: whoever acts on it looks whether it still does."""

    plan: Plan
    ports: Ports
    release: Release | None = None
    insistent: bool = False
    switch_is_intended: bool = False
    restarts_count: int = 0
    share_percent: int = 0
    learned: Learned | None = None
    lingering: Lingering | None = None
    pace_ms: float | None = None
    moved_at_s: float | None = None
    finalize_is_asked: bool = False
    old_workers_may_be_told: bool = True
    down_since_s: float | None = None
    down_s: float = 0.0
    reason: str = ""
    code: str = ""
    next_command: str | None = None
    held: list[Event] = field(default_factory=list)
    unwritten: list[Event] = field(default_factory=list)

    def note(self, event: Event) -> None:
        """Append to the journal, with what is held. Raises JournalError unless the run is insistent."""
        self._append(*self.held, event)

    def hold(self, event: Event) -> None:
        """Append it with the next event that is noted: each write of its own costs a few milliseconds, on a busy disk
        some tens. For what no effect follows before that event."""
        self.held.append(event)

    def release_held(self) -> None:
        """Nothing more is noted here. Raises as `note` does."""
        if self.held:
            self._append(*self.held)

    def _append(self, *events: Event) -> None:
        try:
            self.ports.journal.append(*events)
        except JournalError:
            if not self.insistent:
                raise
            self.unwritten += events
        self.held.clear()

    def blame(self, reason: str, *, code: str, next_command: str) -> None:
        """Keep the first reason."""
        if not self.reason:
            self.reason, self.code, self.next_command = reason, code, next_command

    def address(self, slot: Slot) -> Address:
        """Of its first replica."""
        return self.plan.settings.web.address(slot)

    def addresses(self, slot: Slot) -> tuple[Address, ...]:
        return self.plan.settings.web.addresses(slot)

    def left_s(self, *, since_s: float) -> float:
        """How long no request has come to the slot that the route left; at least since `since_s`, for it may have been
        left by a process that died."""
        moved_at_s = since_s if self.moved_at_s is None else self.moved_at_s
        return self.ports.clock.now_s() - moved_at_s

    def candidate_release(self) -> Release:
        """The release of the plan, read again when this process did not make it."""
        if self.release is None:
            self.release = self.ports.releases.read(self.planned_number())
        return self.release

    def planned_number(self) -> ReleaseNumber:
        if self.plan.release is None:
            raise StepError("the plan names no release", code="plan_incomplete", next_command="celadon recover")
        return self.plan.release

    def asked(self, request: Request) -> bool:
        """Whether a person asked for this; if so the request is recorded and taken."""
        asked = self.ports.control.asked()
        if asked is None or asked.request is not request:
            return False
        self.note(RequestTaken(request=asked.request, by=asked.by))
        self.ports.control.taken()
        self.blame(f"{asked.by} asked to {asked.request}", code=f"asked_{asked.request}", next_command="celadon status")
        return True

    def abort_is_asked(self) -> bool:
        """Looks without taking: for the inside of long work."""
        asked = self.ports.control.asked()
        return asked is not None and asked.request is Request.ABORT
