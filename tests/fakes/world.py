"""A machine in memory: proxy, two slots, releases, a journal and a clock, all of which outlive a dead engine.

`World.ports()` gives a fresh set of ports over the same world, as a new process would compose them. Death is the
exception `Died`, raised at a chosen point; nothing in the engine catches it.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from celadon.app.compose import JUDGES
from celadon.contracts.control import Asked
from celadon.contracts.judge import Judge
from celadon.contracts.proxy import RenderedFile
from celadon.contracts.traffic import Traffic
from celadon.deploy.invariants import confirm
from celadon.deploy.ledger import read_ledger
from celadon.deploy.lingering import end_lingering
from celadon.deploy.loop import drive
from celadon.deploy.recovery import recover_interrupted, settle_idle
from celadon.deploy.run import Ports, Run
from celadon.events import AssetsGathered, Entry, Event, HookRan, OperationEnded, OperationStarted, Step, StepEnded
from celadon.model.address import Address, TcpAddress
from celadon.model.baseline import Learned
from celadon.model.connections import Connection
from celadon.model.errors import JournalError, StepError
from celadon.model.journeys import Journey
from celadon.model.lingering import Lingering
from celadon.model.names import AppName, OperationId, ReleaseNumber, Slot
from celadon.model.observed import (
    Answer,
    Counted,
    Effect,
    Finding,
    Hit,
    HostView,
    RouteView,
    SlotStatus,
    SlotView,
    Split,
    Stopped,
    Switched,
)
from celadon.model.place import Place
from celadon.model.plan import OperationKind, Outcome, Plan, Request
from celadon.model.release import Fate, Manifest, Release, Source, SourceKind
from celadon.model.settings import (
    BlessMode,
    JudgeKind,
    ObserveSettings,
    ProxyKind,
    ProxySettings,
    ReadinessSettings,
    Settings,
    SourceSettings,
    Strategy,
    SwitchSettings,
    WebSettings,
)
from tests.fakes.processes import Others, WorldOther, ask_other, reboot_others

APP = AppName("shop")
_Event = TypeVar("_Event")


class Died(BaseException):
    """The engine's process is gone."""


class Nature(StrEnum):
    """How a release behaves."""

    GOOD = "good"
    NEVER_READY = "never_ready"
    EXITS = "exits"
    FAILS_JOURNEY = "fails_journey"
    DEAD_WHEN_ROUTED = "dead_when_routed"
    HIDDEN_BY_PROXY = "hidden_by_proxy"
    SICK_UNDER_TRAFFIC = "sick_under_traffic"
    SICK_AT_TIMES = "sick_at_times"
    DIES_IN_WINDOW = "dies_in_window"


def make_settings(
    *,
    bless: BlessMode = BlessMode.AUTO,
    window_s: float = 2.0,
    steps: tuple[int, ...] = (100,),
    strategy: Strategy = Strategy.SIDE_BY_SIDE,
) -> Settings:
    return Settings(
        app=APP,
        source=SourceSettings(path="/src"),
        web=WebSettings(command="serve", blue=TcpAddress(port=8101), green=TcpAddress(port=8102)),
        proxy=ProxySettings(
            kind=ProxyKind.NGINX, site="http://shop", listen="127.0.0.1:80", directory="/p", config="/c", binary="b"
        ),
        switch=SwitchSettings(steps=steps, hold_s=1.5, strategy=strategy),
        observe=ObserveSettings(window_s=window_s, bless=bless, max_error_rate=0.01, min_requests_count=5),
    )


def with_replicas(settings: Settings) -> Settings:
    """Two in each slot."""
    web = replace(settings.web, blue_more=(TcpAddress(port=8111),), green_more=(TcpAddress(port=8112),))
    return replace(settings, web=web)


def slot_at(address: Address) -> Slot:
    return Slot.BLUE if str(address).endswith("1") else Slot.GREEN


def by_evidence(**more: object) -> Settings:
    observe = ObserveSettings(judge=JudgeKind.EVIDENCE, **({"window_s": 20.0, "max_error_rate": 0.05} | more))  # type: ignore[arg-type]
    return replace(make_settings(), observe=observe)


def make_release(
    number: int, *, settings: Settings | None = None, path: Path = Path("/r"), app: AppName | None = None
) -> Release:
    manifest = Manifest(
        app=app or APP,
        number=ReleaseNumber(number),
        source=Source(kind=SourceKind.DIRECTORY, location="/src"),
        tree_digest="",
        env_digest="",
        config_digest="",
        built_at=0.0,
        built_by="ada",
        build_s=0.0,
        settings=settings or make_settings(),
    )
    return Release(number=ReleaseNumber(number), path=path, manifest=manifest)


def events_of(world: "World", kind: type[_Event]) -> list[_Event]:
    return [entry.body for entry in world.entries if isinstance(entry.body, kind)]


@dataclass
class Process:
    pid: int
    release: ReleaseNumber


@dataclass
class World:
    natures: dict[int, Nature] = field(default_factory=dict)
    route: Slot | None = None
    split: Split | None = None
    disagreement: str = ""
    old_workers_count: int = 0
    slots: dict[Slot, Process | None] = field(default_factory=lambda: {Slot.BLUE: None, Slot.GREEN: None})
    last_release: dict[Slot, ReleaseNumber] = field(default_factory=dict)
    boot: set[Slot] = field(default_factory=set)
    whole: set[ReleaseNumber] = field(default_factory=set)
    partial: set[ReleaseNumber] = field(default_factory=set)
    fates: dict[ReleaseNumber, Fate] = field(default_factory=dict)
    altered: set[ReleaseNumber] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    journal_is_full: bool = False
    request: Asked | None = None
    now_s: float = 0.0
    next_pid: int = 100
    proxy_refuses: bool = False
    refused_route: tuple[Slot, int] | None = None
    proxy_moves_unseen: bool = False
    proxy_is_silent: bool = False
    wrong_listener: bool = False
    failing_hook: str = ""
    ready_until: str | None = None
    downloads_end_at_s: float = 0.0
    left_open: Callable[[float], Sequence[Connection]] | None = None
    counting_takes_s: float = 0.0
    counted_at_s: list[float] = field(default_factory=list)
    stop_kills: bool = False
    has_assets: bool = False
    assets_error: Exception | None = None
    unserved_count: int = 0
    refusing: set[str] = field(default_factory=set)
    edited: list[Path] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    die_at: int | None = None
    shared_trouble: bool = False
    requests_per_s: int = 10
    settings_of: dict[int, Settings] = field(default_factory=dict)
    journeys_asked: list[tuple[str, Slot, bool]] = field(default_factory=list)
    open_askings_count: int = 0
    control_count: int = 0
    silent_until_s: float = 0.0
    asked_on: list[tuple[Slot, ReadinessSettings]] = field(default_factory=list)
    control_is_hurried: bool = False
    control_is_closed: bool = False
    learned: Learned | None = None
    log_is_read_count: int = 0
    killed_count: int = 0
    log_ends_at_s: float = float("inf")
    log_is_garbled: bool = False
    counters_end_at_s: float = 0.0
    left_count: int = 0
    restarts_count: int = 0
    rss_bytes: int = 1 << 26
    takes_ms: float = 1.0
    strategy: Strategy = Strategy.SIDE_BY_SIDE
    slow_stop_s: float = 0.0
    adopted: set[ReleaseNumber] = field(default_factory=set)
    others: Others = field(default_factory=Others)
    outputs: dict[ReleaseNumber, Sequence[str]] = field(default_factory=dict)
    on_wait: Callable[["World"], None] | None = None
    on_journey: Callable[["World"], None] | None = None

    def pass_point(self, name: str) -> None:
        """Every named point and every journal append is a place to die."""
        self.passed.append(name)
        self.check_traffic()
        if self.die_at is not None and len(self.passed) == self.die_at:
            raise Died(name)

    @property
    def blessed(self) -> set[ReleaseNumber]:
        return {number for number, fate in self.fates.items() if fate is Fate.BLESSED}

    def nature(self, release: ReleaseNumber) -> Nature:
        return self.natures.get(release, Nature.GOOD)

    def is_sick(self, slot: Slot | None, index: int = 0) -> bool:
        process = self.slots[slot] if slot else None
        nature = Nature.SICK_UNDER_TRAFFIC if process is None else self.nature(process.release)
        return nature is Nature.SICK_UNDER_TRAFFIC or (nature is Nature.SICK_AT_TIMES and index % 3 == 0)

    def proxy_view(self) -> RouteView:
        return RouteView(
            slot=self.route,
            seen=not self.proxy_is_silent,
            split=self.split,
            lingering_count=self.old_workers_count,
            disagreement=self.disagreement,
        )

    def reaches(self, slot: Slot) -> bool:
        return self.route is slot or (self.split is not None and self.split.slot is slot)

    def runs(self, slot: Slot) -> bool:
        return self.slots[slot] is not None

    def make_settings(self) -> Settings:
        return make_settings(strategy=self.strategy)

    def check_traffic(self) -> None:
        """I1, asked at every instant: the routed slot is up. An app that runs alone never runs twice."""
        assert self.strategy is Strategy.SIDE_BY_SIDE or not all(map(self.runs, Slot)), "it runs twice"
        if self.route is not None and not self.runs(self.route):
            self.unserved_count += 1

    def ports(self, operation: OperationId) -> Ports:
        return Ports(
            proxy=WorldProxy(self),
            runner=WorldRunner(self),
            assets=WorldAssets(self),
            runner_of=lambda name: WorldOther(self, name),
            probe=WorldProbe(self),
            make_probe=self._make_probe,
            journeys=WorldJourneys(self),
            sockets=WorldSockets(self),
            host=WorldHost(self),
            releases=WorldReleases(self),
            journal=WorldJournal(self, operation),
            hooks=WorldHooks(self),
            clock=WorldClock(self),
            control=WorldControl(self),
            make_judge=self._make_judge,
            baselines=WorldBaselines(self),
            make_counters=lambda: WorldCounters(self),
            leave_line=self.leave_line,
            ask_on=self._ask_on,
            keep_asking=lambda ask, *, interval_s: WorldKeptAsking(self, ask, interval_s),
            ask_process=partial(ask_other, self),
            read_age_s=lambda path: max(0.0, self.now_s - self.others.beats_until_s) if path.name == "beat" else None,
            reached=self.pass_point,
            find_edited=lambda: self.edited,
        )

    @staticmethod
    def _make_judge(settings: ObserveSettings, candidate: Slot, *, journeys: bool) -> Judge:
        return JUDGES[settings.judge]()(settings, candidate, journeys=journeys)

    def leave_line(self) -> bool:
        self.left_count += 1
        return True

    def _make_probe(self, slot: Slot, readiness: ReadinessSettings) -> "WorldProbe":
        self.asked_on.append((slot, readiness))
        return WorldProbe(self)

    def _ask_on(self, slot: Slot, readiness: ReadinessSettings) -> "WorldAsking":
        """A control is a slot that has no traffic; the live one is asked before a deploy begins."""
        if self.route is slot:
            return WorldAsking(self, slot, is_control=False)
        self.asked_on.append((slot, readiness))
        return WorldAsking(self, slot)

    def plan_deploy(self, release: int, *, operation: str, settings: Settings | None = None) -> Plan:
        live = self.route
        running = self.slots[live] if live is not None else None
        return Plan(
            operation=OperationId(operation),
            kind=OperationKind.DEPLOY,
            app=APP,
            lead="ada",
            candidate=Slot.BLUE if live is None else live.other,
            live=live,
            live_release=running.release if running else self.last_release.get(live) if live else None,
            settings=settings or self.make_settings(),
            source=Source(kind=SourceKind.DIRECTORY, location="/src"),
            release=ReleaseNumber(release),
        )

    def deploy(self, release: int, *, settings: Settings | None = None) -> Outcome:
        """A whole operation, as app/operation.py frames it."""
        plan = self.plan_deploy(release, operation=f"op{len(self.entries)}", settings=settings)
        return self.operate(plan)

    def operate(self, plan: Plan, *, start: Step = Step.PREPARE) -> Outcome:
        ports = self.ports(plan.operation)
        ports.journal.append(
            OperationStarted(
                kind=plan.kind,
                lead=plan.lead,
                pid=1,
                candidate=plan.candidate,
                live=plan.live,
                live_release=plan.live_release,
                release=plan.release,
            )
        )
        run = Run(plan=plan, ports=ports, lingering=self.lingering)
        outcome = confirm(run, drive(run, start=start))
        self._end(ports, outcome)
        return outcome

    def recover(self) -> Outcome:
        """As the next command does: nothing when nothing was interrupted."""
        account = read_ledger(self.entries).interrupted
        if account is None or account.candidate is None:
            return Outcome.DONE
        operation = OperationId(f"rec{len(self.entries)}")
        ports = self.ports(operation)
        plan = Plan(
            operation=operation,
            kind=OperationKind.RECOVER,
            app=APP,
            lead="ada",
            candidate=account.candidate,
            live=account.live,
            live_release=account.live_release,
            settings=self.settings_of.get(account.release or 0) or self.make_settings(),
            release=account.release,
        )
        ports.journal.append(OperationStarted(kind=plan.kind, lead="ada", pid=1))
        run = Run(plan=plan, ports=ports, lingering=self.lingering)
        outcome = confirm(run, recover_interrupted(run, account))
        self._end(ports, outcome)
        return outcome

    def roll_back_open(self, settings: Settings) -> Outcome:
        """As `celadon rollback` does while a deploy waits for its bless."""
        account = read_ledger(self.entries).unblessed
        assert account is not None
        plan = Plan(
            operation=OperationId(f"back{len(self.entries)}"),
            kind=OperationKind.ROLLBACK,
            app=APP,
            lead="ada",
            candidate=account.candidate or Slot.GREEN,
            live=account.live,
            live_release=account.live_release,
            settings=settings,
            release=account.release,
        )
        run = Run(plan=plan, ports=self.ports(plan.operation))
        return confirm(run, drive(run, start=Step.RETURN))

    @property
    def lingering(self) -> Lingering | None:
        """As the journal has it."""
        return read_ledger(self.entries).lingering

    def roll_back_to_lingering(self) -> Outcome:
        """As `celadon rollback` does where the older release lives on."""
        lingering = self.lingering
        assert lingering is not None
        back = self.plan_deploy(0, operation=f"back{len(self.entries)}")
        assert back.live is not None
        plan = replace(
            back,
            kind=OperationKind.ROLLBACK,
            candidate=back.live,
            live=lingering.slot,
            live_release=lingering.release,
            source=None,
            release=back.live_release,
        )
        return self.operate(plan, start=Step.RETURN)

    def retire_lingering(self) -> Outcome:
        """As whoever watches a slot that lingers does when its time has come."""
        run = self.start_run()
        end_lingering(run)
        return confirm(run, Outcome.DONE)

    def settle(self, *, settings: Settings | None = None) -> bool:
        """As `celadon recover` does when nothing was interrupted."""
        run = self.start_run(settings)
        mended = settle_idle(run)
        assert confirm(run, Outcome.DONE) is Outcome.DONE
        return mended

    def reason(self) -> str:
        """Of the last step that did not end well."""
        reasons = [body.reason for body in events_of(self, StepEnded) if body.reason]
        return reasons[-1]

    def start_run(self, settings: Settings | None = None) -> Run:
        """With nothing to do but what the caller does with it."""
        live = self.route
        running = self.slots[live] if live is not None else None
        plan = Plan(
            operation=OperationId(f"set{len(self.entries)}"),
            kind=OperationKind.RECOVER,
            app=APP,
            lead="ada",
            candidate=live.other if live else Slot.BLUE,
            live=live,
            live_release=running.release if running else self.last_release.get(live) if live else None,
            settings=settings or self.make_settings(),
        )
        return Run(plan=plan, ports=self.ports(plan.operation), lingering=self.lingering)

    def reboot(self) -> None:
        """Everything stops; what is enabled at boot starts."""
        reboot_others(self)
        for slot in Slot:
            self.slots[slot] = self._spawn(self.last_release[slot]) if slot in self.boot else None

    def reboot_bare(self) -> None:
        """Nothing is started by itself."""
        self.boot.clear()
        self.reboot()

    def stay(self) -> None:
        """Only the engine has died."""

    def die_in_recovery(self, *, at: int) -> None:
        """Once, where it passes so many points."""
        self.passed.clear()
        self.die_at = at
        with contextlib.suppress(Died):
            self.recover()
        self.die_at = None

    def _spawn(self, release: ReleaseNumber) -> Process:
        self.next_pid += 1
        return Process(self.next_pid, release)

    def spawn(self, slot: Slot, release: ReleaseNumber) -> None:
        self.slots[slot] = self._spawn(release)
        self.last_release[slot] = release

    @staticmethod
    def _end(ports: Ports, outcome: Outcome) -> None:
        ports.journal.append(OperationEnded(outcome=outcome, route=ports.proxy.observe().slot))


class WorldProxy:
    def __init__(self, world: World) -> None:
        self.world = world

    def check(self) -> Sequence[Finding]:
        return ()

    def render(self) -> Sequence[RenderedFile]:
        return ()

    def install(self) -> bool:
        return False

    def observe(self) -> RouteView:
        return self.world.proxy_view()

    def switch(self, to: Slot, *, percent: int = 100, reached: Callable[[str], None]) -> Switched:
        reached("before_pointer")
        if self.world.proxy_refuses or self.world.refused_route == (to, percent):
            return Switched(to=to, seen=False, effect=Effect.NONE, reason="the proxy refused")
        self.world.disagreement = ""
        self.world.route = to if percent == 100 else to.other
        self.world.split = None if percent == 100 else Split(slot=to, percent=percent)
        reached("after_pointer")
        if self.world.proxy_moves_unseen:
            self.world.proxy_moves_unseen = False
            return Switched(to=to, seen=False, effect=Effect.UNKNOWN, reason="never seen")
        return Switched(to=to, seen=True, effect=Effect.MOVED, moved_ms=0.1, seen_ms=0.5, settled_ms=0.6)

    def traffic(self) -> Traffic:
        return WorldTraffic(self.world)


class WorldBaselines:
    def __init__(self, world: World) -> None:
        self.world = world

    def gather(self) -> Learned | None:
        self.world.log_is_read_count += 1
        return self.world.learned

    def recall(self) -> Learned | None:
        return self.world.learned


class WorldAsking:
    """One question each time that answers are taken."""

    def __init__(self, world: World, slot: Slot, *, is_control: bool = True) -> None:
        self.world = world
        self.slot = slot
        self.is_control = is_control

    def take(self) -> Sequence[Answer]:
        ok = self.world.runs(self.slot) and not self.world.shared_trouble
        self.world.control_count += self.is_control
        return [Answer(ok=ok, latency_ms=self.world.takes_ms, reason="" if ok else "503")]

    def hurry(self) -> None:
        self.world.control_is_hurried |= self.is_control

    def close(self) -> None:
        self.world.control_is_closed |= self.is_control


class WorldKeptAsking:
    """All that was due since the last time that answers were taken, asked at that moment."""

    def __init__(self, world: World, ask: Callable[[], Answer], interval_s: float) -> None:
        self.world = world
        self.ask = ask
        self.interval_s = self.usual_s = interval_s
        self.due_s = world.now_s
        world.open_askings_count += 1

    def take(self) -> Sequence[Answer]:
        answers: list[Answer] = []
        if self.world.now_s < self.world.silent_until_s:
            return answers
        while self.due_s <= self.world.now_s:
            answers.append(self.ask())
            self.due_s += self.interval_s
        return answers

    def hurry(self) -> None:
        self.interval_s = self.usual_s / 4

    def close(self) -> None:
        self.world.open_askings_count -= 1


class WorldTraffic:
    """Visitors, ten requests a second unless the world says otherwise, to whatever is routed, and our own lines, until
    the log ends."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._read_s = world.now_s
        self._visitors = count()
        self._left_count = world.left_count
        self.unreadable_count = 0

    def read(self) -> Sequence[Hit]:
        now_s = min(self.world.now_s, self.world.log_ends_at_s)
        hits_count = max(0, int((now_s - self._read_s) * self.world.requests_per_s + 1e-6))
        self._read_s += hits_count / self.world.requests_per_s if hits_count else 0
        if self.world.log_is_garbled:
            self.unreadable_count += hits_count
            return ()
        return [*self._read_looks(), *(self._hit(next(self._visitors)) for _ in range(hits_count))]

    def _read_looks(self) -> Sequence[Hit]:
        if self.world.now_s >= self.world.log_ends_at_s:
            return ()
        looks_count, self._left_count = self.world.left_count - self._left_count, self.world.left_count
        return [replace(self._hit(0), look="look") for _ in range(looks_count)]

    def past(self, *, since_s: float, is_over: Callable[[], bool]) -> Iterator[Iterable[tuple[float, Hit]]]:
        return iter(())

    def _hit(self, index: int) -> Hit:
        """With a split every second request is the other slot's, whatever the share."""
        split, slot = self.world.split, self.world.route
        slot = split.slot if split is not None and index % 2 else slot
        status = 500 if self.world.is_sick(slot, index) else 200
        return Hit(
            slot=slot,
            status=status,
            upstream_status=status,
            duration_ms=self.world.takes_ms,
            client_key=str(index),
            route="/",
        )

    def close(self) -> None:
        pass


class WorldCounters:
    """What the proxy counts of the same visitors, until it tells no more."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._read_s = world.now_s

    def read(self) -> Sequence[Counted] | None:
        if self.world.now_s >= self.world.counters_end_at_s or self.world.route is None:
            return None
        over_s, self._read_s = self.world.now_s - self._read_s, self.world.now_s
        requests_count = round(over_s * self.world.requests_per_s)
        failed_count = requests_count if self.world.is_sick(self.world.route) else 0
        slot = self.world.route
        return [Counted(slot=slot, requests_count=requests_count, failed_count=failed_count, over_s=over_s)]


class WorldRunner:
    def __init__(self, world: World) -> None:
        self.world = world

    def check(self) -> Sequence[Finding]:
        return ()

    def start(self, slot: Slot, release: Release) -> SlotView:
        if self.world.slots[slot] is None:
            self.world.spawn(slot, release.number)
        return self.observe(slot)

    def observe(self, slot: Slot) -> SlotView:
        process = self.world.slots[slot]
        release = self.world.last_release.get(slot)
        if process is None:
            return SlotView(slot=slot, status=SlotStatus.STOPPED, release=release)
        nature = self.world.nature(process.release)
        ended = nature is Nature.EXITS or (nature is Nature.DIES_IN_WINDOW and self.world.reaches(slot))
        if ended:
            return SlotView(slot=slot, status=SlotStatus.EXITED, release=process.release, exit_code=1)
        return SlotView(
            slot=slot,
            status=SlotStatus.RUNNING,
            release=process.release,
            pids=(process.pid,),
            restarts_count=self.world.restarts_count,
            rss_bytes=self.world.rss_bytes,
        )

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        if enabled:
            self.world.boot.add(slot)
        else:
            self.world.boot.discard(slot)

    def signal(self, slot: Slot, name: str) -> None:
        pass

    def stop(self, slot: Slot, *, grace_s: float) -> Stopped:
        alone = self.world.strategy is Strategy.STOP_FIRST
        assert alone or not self.world.reaches(slot), "a slot with traffic was stopped"
        self.world.now_s += self.world.slow_stop_s if self.world.runs(slot) else 0.0
        self.world.slots[slot] = None
        return Stopped(slot=slot, killed=self.world.stop_kills, took_s=0.0)

    def tail(self, slot: Slot, *, lines_count: int) -> Sequence[str]:
        return ("boom",)


class WorldProbe:
    def __init__(self, world: World) -> None:
        self.world = world

    def ask(self, address: Address, *, timeout_s: float) -> Answer:
        slot = slot_at(address)
        process = self.world.slots[slot]
        if str(address) in self.world.refusing or self.world.ready_until in self.world.passed:
            return Answer(ok=False, latency_ms=1.0, reason="connection refused")
        ok = process is not None and self.world.nature(process.release) in {
            Nature.GOOD,
            Nature.FAILS_JOURNEY,
            Nature.DEAD_WHEN_ROUTED,
            Nature.HIDDEN_BY_PROXY,
            Nature.SICK_UNDER_TRAFFIC,
            Nature.SICK_AT_TIMES,
            Nature.DIES_IN_WINDOW,
        }
        return Answer(ok=ok, latency_ms=1.0, status=200 if ok else 503, reason="" if ok else "503")

    def describe(self) -> str:
        return "GET /health"


class WorldJourneys:
    def __init__(self, world: World) -> None:
        self.world = world

    def ask(self, journey: Journey, place: Place) -> Answer:
        slot = self.world.route if place.through_proxy else place.slot
        process = self.world.slots[slot] if slot else None
        self.world.journeys_asked.append((journey.name, place.slot, place.through_proxy))
        if self.world.on_journey is not None:
            self.world.on_journey(self.world)
        if slot is None or process is None or self._fails(place, slot, self.world.nature(process.release)):
            reason = "step 1, GET /cart: status 500, expected 200"
            return Answer(ok=False, latency_ms=1.0, status=500, head="no such table", reason=reason)
        return Answer(ok=True, latency_ms=1.0, status=200)

    def _fails(self, place: Place, slot: Slot, nature: Nature) -> bool:
        return (
            self.world.shared_trouble
            or nature is Nature.FAILS_JOURNEY
            or (nature is Nature.DEAD_WHEN_ROUTED and self.world.reaches(slot))
            or (nature is Nature.HIDDEN_BY_PROXY and place.through_proxy)
        )


class WorldSockets:
    def __init__(self, world: World) -> None:
        self.world = world

    def listening_pids(self, address: Address) -> frozenset[int] | None:
        slot = slot_at(address)
        process = self.world.slots[slot]
        if process is not None and self.world.wrong_listener:
            return frozenset({1})
        return frozenset({process.pid}) if process is not None else frozenset()

    def is_held(self, address: Address, *, by: Collection[int]) -> bool:
        return bool((self.listening_pids(address) or frozenset()) & set(by))

    def connections_count(self, address: Address) -> int:
        return len(self.connections(address))

    def connections(self, address: Address) -> Sequence[Connection]:
        """One download, open on the slot that the route has left until `downloads_end_at_s`, and what else was left
        open there."""
        slot = slot_at(address)
        if slot is self.world.route or self.world.slots[slot] is None:
            return ()
        self.world.counted_at_s.append(self.world.now_s)
        downloads = [Connection(id=1, received_bytes=80, sent_bytes=1 << 20, unsent_bytes=1 << 16)]
        left_open = self.world.left_open(self.world.now_s) if self.world.left_open else ()
        return [*(downloads if self.world.now_s < self.world.downloads_end_at_s else ()), *left_open]


class WorldHost:
    def __init__(self, world: World) -> None:
        self.world = world

    def observe(self) -> HostView:
        return HostView(available_bytes=8 << 30, killed_count=self.world.killed_count)


class WorldReleases:
    def __init__(self, world: World) -> None:
        self.world = world

    def make(
        self,
        number: ReleaseNumber,
        source: Source,
        *,
        settings: Settings,
        lead: str,
        live: ReleaseNumber | None,
        tell: Callable[[Event], None],
        reached: Callable[[str], None],
        cancelled: Callable[[], bool],
    ) -> Release:
        self.world.whole -= {failed for failed, fate in self.world.fates.items() if fate is Fate.FAILED}
        self.world.partial.add(number)
        reached("mid_unpack")
        reached("unpacked")
        if cancelled():
            raise StepError("cancelled", code="cancelled", next_command="celadon deploy")
        self.world.partial.discard(number)
        self.world.whole.add(number)
        self.world.settings_of[number] = settings
        reached("renamed")
        return self.read(number)

    def read(self, number: ReleaseNumber) -> Release:
        if number not in self.world.whole:
            raise StepError(f"r{number} is not on disk", code="release_missing", next_command="celadon releases")
        release = make_release(number, settings=self.world.settings_of.get(number))
        if number in self.world.adopted:
            source = Source(kind=SourceKind.ADOPTED, location="")
            release = replace(release, manifest=replace(release.manifest, source=source))
        return replace(release, fate=self.world.fates.get(number))

    def numbers(self) -> Sequence[ReleaseNumber]:
        return sorted(self.world.whole)

    def verify(self, release: Release) -> str | None:
        return "app.py" if release.number in self.world.altered else None

    def keep_output(self, release: Release, lines: Sequence[str]) -> Path:
        self.world.outputs[release.number] = lines
        return release.path / "release.log"

    def mark(self, release: Release, fate: Fate) -> None:
        self.world.fates.setdefault(release.number, fate)

    def prune(self, *, keep_count: int, protected: Collection[ReleaseNumber]) -> Sequence[ReleaseNumber]:
        self.world.partial.clear()
        newest = set(sorted(self.world.whole)[-keep_count:])
        gone = sorted(self.world.whole - newest - set(protected))
        self.world.whole -= set(gone)
        return gone


class WorldJournal:
    def __init__(self, world: World, operation: OperationId) -> None:
        self.world = world
        self.operation = operation

    def append(self, *events: Event) -> Entry:
        name = type(events[-1]).__name__
        self.world.pass_point(f"before_append_{name}")
        if self.world.journal_is_full:
            raise JournalError("no space left on device", code="journal_full", next_command="df -h")
        for event in events:
            self.world.entries.append(
                Entry(
                    sequence=len(self.world.entries) + 1,
                    operation=self.operation,
                    app=APP,
                    at=self.world.now_s,
                    body=event,
                )
            )
        self.world.pass_point(f"after_append_{name}")
        return self.world.entries[-1]

    def read(self, *, after: int = 0, operation: OperationId | None = None) -> Sequence[Entry]:
        return [
            entry
            for entry in self.world.entries
            if entry.sequence > after and (operation is None or entry.operation == operation)
        ]


class WorldHooks:
    def __init__(self, world: World) -> None:
        self.world = world

    def run(self, hook: str, *, release: Release | None, variables: Mapping[str, str]) -> Sequence[HookRan]:
        if hook != self.world.failing_hook:
            return ()
        return (HookRan(hook=hook, command="./hook", exit_code=1, duration_s=0.1),)


class WorldAssets:
    def __init__(self, world: World) -> None:
        self.world = world

    def gather(self, number: ReleaseNumber, *, protected: Collection[ReleaseNumber]) -> AssetsGathered | None:
        if self.world.assets_error is not None:
            raise self.world.assets_error
        if not self.world.has_assets:
            return None
        releases = tuple(sorted({number, *protected}))
        return AssetsGathered(
            directory="/a", releases=releases, files_count=2, added_count=1, removed_count=0, differing_count=0
        )


class WorldClock:
    def __init__(self, world: World) -> None:
        self.world = world

    def now_s(self) -> float:
        return self.world.now_s

    def spent_s(self) -> float:
        return len(self.world.counted_at_s) * self.world.counting_takes_s

    def wait(self, duration_s: float) -> None:
        self.world.now_s += max(duration_s, 0.001)
        if self.world.on_wait is not None:
            self.world.on_wait(self.world)


class WorldControl:
    def __init__(self, world: World) -> None:
        self.world = world

    def asked(self) -> Asked | None:
        return self.world.request

    def taken(self) -> None:
        self.world.request = None


def ask_abort(world: World) -> None:
    world.request = Asked(request=Request.ABORT, by="ada")


def ask_finalize(world: World) -> None:
    world.request = Asked(request=Request.FINALIZE, by="ada")
