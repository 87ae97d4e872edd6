"""One operation from lock to outcome: recover what is open, check, plan, drive, say how it ended."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Collection
from pathlib import Path

import msgspec

from celadon.app.aside import begin_turn, commit_aside
from celadon.app.compose import make_ports, make_proxy
from celadon.app.inforce import merge_in_force, read_in_force, take_env, write_in_force
from celadon.app.masking import Masking
from celadon.app.order import Order
from celadon.app.plans import Plans
from celadon.app.record import Record, RecordedJournal, note_installed
from celadon.app.refusals import (
    check_first,
    check_machine,
    refuse_to_cut,
    refuse_when_lingering,
    refuse_when_unblessed,
    tell,
    tell_cut,
    tell_left_alone,
)
from celadon.app.scaling import keep_live, level_idle
from celadon.app.targets import choose_live, choose_target, source_of_release
from celadon.contracts.proxy import Proxy
from celadon.deploy.invariants import confirm
from celadon.deploy.ledger import Account, Ledger, read_ledger
from celadon.deploy.lingering import end_lingering, is_lingering
from celadon.deploy.loop import drive
from celadon.deploy.recovery import recover_interrupted, settle_idle
from celadon.deploy.route import repair_route
from celadon.deploy.run import Ports, Run
from celadon.events import JournalRebuilt, OperationEnded, OperationStarted, Step
from celadon.host.checkpoint import reached
from celadon.host.control import FileControl, HostClock
from celadon.host.files import remove_leftovers
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.host.pointer import read_pointer
from celadon.host.reserve import keep_reserve
from celadon.model.errors import (
    BusyError,
    CeladonError,
    JournalError,
    NeedsPersonError,
    RefusedError,
    StepError,
    UsageError,
)
from celadon.model.names import ReleaseNumber, Slot, render_release_label
from celadon.model.observed import RouteView, warning
from celadon.model.plan import OperationKind, Outcome, Plan
from celadon.model.release import Release, SourceKind
from celadon.model.settings import Settings, Strategy
from celadon.store.journal import SqliteJournal, open_journal

_RETIREMENT_WAIT_S, _RETIREMENT_POLL_S = 1.5, 0.02

_OUTCOMES: tuple[tuple[type[CeladonError], Outcome], ...] = (
    (BusyError, Outcome.BUSY),
    (NeedsPersonError, Outcome.NEEDS_PERSON),
    (JournalError, Outcome.NEEDS_PERSON),
    (RefusedError, Outcome.REFUSED),
    (UsageError, Outcome.REFUSED),
    (StepError, Outcome.REJECTED),
)


def run_operation(order: Order) -> Outcome:
    """Blocks for as long as the operation takes. The journal's last event of the operation is OperationEnded,
    unless this process dies or meets a bug: the next command then finds an interrupted operation."""
    layout = Layout(Path(order.root), order.app)
    layout.home.mkdir(parents=True, exist_ok=True)
    lock = AppLock(layout.lock)
    operator = None
    try:
        _acquire(lock, order)
    except BusyError as error:
        return _refuse(layout, order, error)
    try:
        operator = _Operator(layout, order)
        return operator.run()
    except Exception:  # noqa: BLE001  the edge: a bug is one sentence and a file, and the next command recovers
        _write_debug_file(layout, order)
        return Outcome.BUG
    finally:
        lock.release()
        if operator is not None:
            operator.commit()


def _acquire(lock: AppLock, order: Order) -> None:
    """A retirement that began in this instant is waited for, as long as nobody takes that for a death."""
    until_s = time.monotonic() + _RETIREMENT_WAIT_S
    while True:
        try:
            lock.acquire(holder=order.lead, operation=order.operation, purpose=order.kind.value)
            return
        except BusyError:
            holder = lock.holder()
            retires = holder is not None and holder.purpose == OperationKind.RETIRE
            if not retires or order.kind is OperationKind.RETIRE or time.monotonic() >= until_s:
                raise
        time.sleep(_RETIREMENT_POLL_S)


def _refuse(layout: Layout, order: Order, error: BusyError) -> Outcome:
    journal = open_journal(layout.journal, app=order.app, operation=order.operation)
    route = read_pointer(layout.pointer)
    journal.append(
        OperationEnded(
            outcome=Outcome.BUSY, reason=error.what, code=error.code, next_command=error.next_command, route=route
        )
    )
    return Outcome.BUSY


def _write_debug_file(layout: Layout, order: Order) -> None:
    layout.operations.mkdir(parents=True, exist_ok=True)
    path = layout.operations / f"{order.operation}.debug"
    path.touch(mode=0o600)
    path.write_text(traceback.format_exc())
    sys.stderr.write(f"a bug in celadon: {sys.exc_info()[1]!r}; the trace is in {path}\n")


def _describe(order: Order) -> str:
    source = order.source
    return order.kind.value + (f" of {source.ref or source.location}" if source is not None else "")


class _Operator:
    """Holds the lock for its whole life."""

    def __init__(self, layout: Layout, order: Order) -> None:
        self.layout = layout
        self.order = order
        self.began_at = time.monotonic()
        self.control = FileControl(layout.request)
        self.clock = HostClock()
        self.in_force = read_in_force(layout)
        masking = Masking(layout, plain=self._read_plain)
        self.journal: SqliteJournal = open_journal(
            layout.journal, app=order.app, operation=order.operation, mask=masking.mask
        )
        self.ledger: Ledger = read_ledger(self.journal.read())
        self.plans = Plans(order, self.ledger)
        self.proxy: Proxy | None = None
        self.record = Record(layout, lead=order.lead, operation=order.operation, reason=_describe(order))
        self.turn: int | None = None
        self.begun: Run | None = None

    def _read_plain(self) -> Collection[str]:
        """Values that lie open in celadon.toml, the order's and the one in force."""
        known = [settings for settings in (self.in_force, self.order.settings) if settings is not None]
        return [value for settings in known for value in settings.web.env.values()]

    def run(self) -> Outcome:
        self.control.taken()
        remove_leftovers(self.layout.written_in())
        keep_reserve(self.layout.reserve)
        self.record.catch_up(self.ledger.interrupted)
        run: Run | None = None
        try:
            self._note_rebuilt()
            run, outcome = self._carry_out()
            outcome = confirm(run, outcome) if run is not None else outcome
            self._have_kept()
        except CeladonError as error:
            return self._end_with(error)
        except OSError as error:
            return self._end_with(StepError(str(error), code="os_error", next_command="celadon status"))
        return self._end(outcome, run=run)

    def _have_kept(self) -> None:
        """Before the last word: from then on nobody else looks after what lingers."""
        if (self.begun.lingering if self.begun is not None else self.ledger.lingering) is None:
            return
        from celadon.app.keeping import ensure_kept

        try:
            ensure_kept(self.layout)
        except (CeladonError, OSError) as error:
            text = f"nobody watches the slot that lingers: {error}; the next operation ends it when it is time"
            found = warning("streams", text, fix="celadon recover")
            tell(found, journal=self.journal)

    def commit(self) -> None:
        """After the lock is released: what was written down goes into the repository, and nobody waits for it."""
        commit_aside(self.layout, self.turn)

    def _carry_out(self) -> tuple[Run | None, Outcome]:
        interrupted = self.ledger.interrupted
        if interrupted is not None:
            return self._recover(interrupted)
        match self.order.kind:
            case OperationKind.DEPLOY:
                return self._deploy()
            case OperationKind.ROLLBACK:
                return self._roll_back()
            case OperationKind.RESTART:
                return self._restart()
            case OperationKind.FINALIZE:
                return self._finalize()
            case OperationKind.RECOVER:
                return self._settle()
            case OperationKind.RETIRE:
                return self._retire()
            case OperationKind.ADOPT | OperationKind.EJECT:
                return self._hand_over()

    def _deploy(self) -> tuple[Run, Outcome]:
        settings = self.order.settings
        if settings is None:
            raise UsageError("a deploy needs settings", code="order_incomplete", next_command="celadon deploy")
        refuse_when_unblessed(self.ledger)
        if self.order.source is not None and self.order.source.kind is SourceKind.RELEASE:
            return self._deploy_env(settings)
        settings = keep_live(settings, self.in_force, self._see_live())
        ports = self._ports(settings, candidate=Slot.GREEN)
        self._look_at_lingering(settings, ports)
        check_first(self.layout, settings, ports, journal=self.journal)
        self._put_in_force(settings)
        number = self._next_number(ports)
        self._install(ports, release=number)
        route = ports.proxy.observe()
        plan = self.plans.make(settings, route, ports=ports, release=number)
        return self._drive(plan, route=route)

    def _deploy_env(self, given: Settings) -> tuple[Run, Outcome]:
        """The live release's files and settings, with the variables of today: nothing else of `given` is taken, and the
        proxy's files are left alone."""
        in_force, ports, route, live = self._find_live(take_env(self._require_in_force(), given))
        settings = take_env(merge_in_force(live.manifest.settings, in_force), given)
        self._look_at_lingering(settings, ports)
        check_first(self.layout, settings, ports, journal=self.journal)
        tell_left_alone(settings, given, journal=self.journal)
        self._put_in_force(in_force)
        number, source = self._next_number(ports), source_of_release(live)
        plan = self.plans.make(settings, route, ports=ports, release=number, source=source)
        return self._drive(plan, route=route)

    def _restart(self) -> tuple[Run, Outcome]:
        """The live release once more, in the other slot; celadon.toml is not read."""
        refuse_when_unblessed(self.ledger)
        in_force, ports, route, live = self._find_live(self._require_in_force())
        settings = merge_in_force(live.manifest.settings, in_force)
        self._look_at_lingering(settings, ports)
        check_machine(self.layout, settings, ports, journal=self.journal)
        return self._drive(self.plans.make(settings, route, ports=ports, release=live.number), route=route)

    def _look_at_lingering(self, settings: Settings, ports: Ports) -> None:
        if self.order.spares_streams:
            refuse_to_cut(self.layout, settings, ports, ledger=self.ledger)
        else:
            tell_cut(self.layout, settings, ports, ledger=self.ledger, journal=self.journal)

    def _see_live(self) -> Slot | None:
        """By the proxy as it is told now."""
        return make_proxy(self.layout, self.in_force).observe().slot if self.in_force is not None else None

    def _find_live(self, in_force: Settings) -> tuple[Settings, Ports, RouteView, Release]:
        """With what is in force by then. Raises RefusedError where nothing is live that could be run once more."""
        ports = self._ports(in_force, candidate=Slot.GREEN)
        route = ports.proxy.observe()
        live = choose_live(ports.releases, self.plans.find_live_release(ports, route))
        in_force, ports = self._level(in_force, ports, live=route.slot, release=live.number)
        return in_force, ports, route, live

    def _level(
        self, in_force: Settings, ports: Ports, *, live: Slot | None, release: ReleaseNumber
    ) -> tuple[Settings, Ports]:
        """The candidate gets as many replicas as are live, and the proxy is told: after a deploy that changed their
        number, at the first restart or rollback. Nothing is done where it has them."""
        level = level_idle(in_force, live, root=self.layout.root)
        if level == in_force:
            return in_force, ports
        ports = self._ports(level, candidate=Slot.GREEN)
        self._install(ports, release=release)
        self._put_in_force(level)
        return level, ports

    def _put_in_force(self, settings: Settings) -> None:
        write_in_force(self.layout, settings)
        self.in_force = settings

    def _next_number(self, ports: Ports) -> ReleaseNumber:
        return ReleaseNumber(max([*ports.releases.numbers(), self.ledger.highest_release], default=0) + 1)

    def _install(self, ports: Ports, *, release: ReleaseNumber) -> None:
        try:
            if ports.proxy.install() or not self.record.knows_files:
                note_installed(self.record, self.layout, ports.proxy, release=render_release_label(release))
        except StepError as error:
            raise RefusedError(error.what, code=error.code, next_command=error.next_command) from error

    def _roll_back(self) -> tuple[Run, Outcome]:
        open_deploy = self.ledger.unblessed
        if open_deploy is not None and open_deploy.live is not None and not open_deploy.blessed:
            return self._drive(self._plan_again(open_deploy, kind=OperationKind.ROLLBACK), start=Step.RETURN)
        in_force = self._require_in_force()
        ports = self._ports(in_force, candidate=Slot.GREEN)
        route = ports.proxy.observe()
        live = self.plans.find_live_release(ports, route)
        if self._leads_to_lingering(ports, route, live=live):
            return self._drive(self.plans.make_back(in_force, route, ports=ports), start=Step.RETURN, route=route)
        target = choose_target(ports.releases, self.ledger, wanted=self.order.release, live=live)
        tell_cut(self.layout, in_force, ports, ledger=self.ledger, journal=self.journal)
        with contextlib.suppress(RefusedError):  # the way back is not to fail for fewer replicas
            in_force, ports = self._level(in_force, ports, live=route.slot, release=target.number)
        settings = merge_in_force(target.manifest.settings, in_force)
        return self._drive(self.plans.make(settings, route, ports=ports, release=target.number), route=route)

    def _leads_to_lingering(self, ports: Ports, route: RouteView, *, live: ReleaseNumber | None) -> bool:
        """What lingers is hot as in a window: the way back is the same."""
        lingering, wanted = self.ledger.lingering, self.order.release
        if lingering is None or lingering.release in {None, live} or wanted not in {None, lingering.release}:
            return False
        if self._require_in_force().switch.strategy is Strategy.STOP_FIRST:
            return False
        return is_lingering(lingering, route, ports.runner.observe(lingering.slot))

    def _finalize(self) -> tuple[Run | None, Outcome]:
        open_deploy = self.ledger.unblessed
        if open_deploy is None and self.ledger.lingering is not None:
            return self._retire()
        if open_deploy is None or open_deploy.candidate is None:
            raise RefusedError(
                "no deploy waits to be finalized", code="nothing_to_finalize", next_command="celadon status"
            )
        plan = self._plan_again(open_deploy, kind=OperationKind.FINALIZE)
        run = self._start(plan)
        if run.ports.proxy.observe().slot is not plan.candidate:
            run.blame(
                f"the proxy does not route to {plan.candidate}", code="route_astray", next_command="celadon check"
            )
            return run, Outcome.NEEDS_PERSON
        return run, drive(run, start=Step.FINALIZE)

    def _retire(self) -> tuple[Run | None, Outcome]:
        """What lingers ends now."""
        if self.ledger.lingering is None or self.in_force is None:
            return None, Outcome.DONE
        ports = self._ports(self.in_force, candidate=Slot.GREEN)
        run = self._start(self.plans.make(self.in_force, ports.proxy.observe(), ports=ports, release=None))
        end_lingering(run)
        return run, Outcome.DONE

    def _hand_over(self) -> tuple[None, Outcome]:
        from celadon.app.handover import adopt_site, eject_site

        refuse_when_lingering(self.layout, self.ledger)
        carry_out = adopt_site if self.order.kind is OperationKind.ADOPT else eject_site
        try:
            carry_out(self.layout, self.order, journal=RecordedJournal(self.journal, self.record))
        finally:
            self.in_force = read_in_force(self.layout)
        proxy = make_proxy(self.layout, self.in_force) if self.in_force is not None else None
        note_installed(self.record, self.layout, proxy, subject=f"{self.order.kind.value.capitalize()} the site")
        return None, Outcome.DONE

    def _recover(self, interrupted: Account) -> tuple[Run | None, Outcome]:
        if interrupted.candidate is None:
            return None, Outcome.RECOVERED
        run = self._start(self._plan_again(interrupted, kind=OperationKind.RECOVER))
        return run, recover_interrupted(run, interrupted)

    def _settle(self) -> tuple[Run | None, Outcome]:
        open_deploy = self.ledger.unblessed
        if self.in_force is None:
            return None, Outcome.DONE
        ports = self._ports(self.in_force, candidate=Slot.GREEN)
        if open_deploy is not None:
            return None, Outcome.DONE
        route = ports.proxy.observe()
        if route.slot is None:
            return None, Outcome.DONE
        plan = self.plans.make(self.in_force, route, ports=ports, release=None)
        run = self._start(plan)
        return run, Outcome.RECOVERED if settle_idle(run) else Outcome.DONE

    def _drive(self, plan: Plan, *, start: Step = Step.PREPARE, route: RouteView | None = None) -> tuple[Run, Outcome]:
        """`route` is what the plan was made from: where pointer and proxy differ, that is mended first."""
        run = self._start(plan)
        if route is not None:
            repair_route(run, route)
        return run, drive(run, start=start)

    def _start(self, plan: Plan) -> Run:
        """OperationStarted is the first durable word of an operation that will do something."""
        ports = self._ports(plan.settings, candidate=plan.candidate)
        ports.reached("locked")
        quiet = plan.kind in (OperationKind.FINALIZE, OperationKind.RECOVER, OperationKind.RETIRE)
        ports.journal.append(
            OperationStarted(
                kind=plan.kind,
                lead=plan.lead,
                pid=os.getpid(),
                candidate=None if quiet or self._returns(plan) else plan.candidate,
                live=plan.live,
                live_release=plan.live_release,
                release=plan.release,
                source=plan.source,
            )
        )
        ports.reached("recorded")
        self.begun = Run(plan=plan, ports=ports, lingering=self.ledger.lingering)
        return self.begun

    def _returns(self, plan: Plan) -> bool:
        """A rollback of an unblessed deploy goes on with that deploy: it opens no candidate of its own."""
        return plan.kind is OperationKind.ROLLBACK and self.ledger.unblessed is not None

    def _plan_again(self, account: Account, *, kind: OperationKind) -> Plan:
        in_force = self._require_in_force()
        ports = self._ports(in_force, candidate=account.candidate or Slot.GREEN)
        return self.plans.make_again(account, kind=kind, in_force=in_force, releases=ports.releases)

    def _ports(self, settings: Settings, *, candidate: Slot) -> Ports:
        ports = make_ports(
            self.layout,
            settings,
            journal=RecordedJournal(self.journal, self.record),
            clock=self.clock,
            control=self.control,
            candidate=candidate,
        )
        self.proxy = ports.proxy
        return ports

    def _require_in_force(self) -> Settings:
        if self.in_force is None:
            raise RefusedError(
                f"{self.order.app} was never deployed", code="not_deployed", next_command="celadon deploy"
            )
        return self.in_force

    def _note_rebuilt(self) -> None:
        if self.journal.set_aside is None or self.in_force is None:
            return
        ports = self._ports(self.in_force, candidate=Slot.GREEN)
        self.journal.append(
            JournalRebuilt(
                set_aside=self.journal.set_aside,
                route=ports.proxy.observe().slot,
                releases=tuple(ports.releases.numbers()),
            )
        )

    def _end_with(self, error: CeladonError) -> Outcome:
        outcome = next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), Outcome.NEEDS_PERSON)
        return self._end(outcome, reason=error.what, code=error.code, next_command=error.next_command)

    def _end(
        self,
        outcome: Outcome,
        *,
        run: Run | None = None,
        reason: str = "",
        code: str = "",
        next_command: str | None = None,
    ) -> Outcome:
        route, release = self._look()
        ended = OperationEnded(
            outcome=outcome,
            reason=run.reason if run is not None else reason,
            code=run.code if run is not None else code,
            next_command=run.next_command if run is not None else next_command,
            route=route,
            route_release=release,
            duration_s=time.monotonic() - self.began_at,
            down_s=run.down_s if run is not None else 0.0,
        )
        try:
            for event in run.unwritten if run is not None else []:
                self.journal.append(event)
            self._tell_edits()
            self.journal.append(ended)
            reached("ended")
        except JournalError as error:
            sys.stderr.write(f"{error.what}\n{msgspec.json.encode(ended).decode()}\n")
        return outcome

    def _tell_edits(self) -> None:
        for found in self.record.end():
            tell(found, journal=self.journal)
        self.turn = begin_turn(self.layout)

    def _look(self) -> tuple[Slot | None, ReleaseNumber | None]:
        """Where traffic goes now, for the last event."""
        if self.proxy is None and self.in_force is not None:
            self._ports(self.in_force, candidate=Slot.GREEN)
        if self.proxy is None or self.in_force is None:
            return read_pointer(self.layout.pointer), None
        route = self.proxy.observe().slot
        if route is None:
            return None, None
        from celadon.app.compose import make_runner

        return route, make_runner(self.layout, self.in_force).observe(route).release
