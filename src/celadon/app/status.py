"""What is, as observed this moment: the route, both slots, who holds the lock. Memory only where it says so."""

from celadon.app.compose import make_proxy, make_runner, make_runner_of, make_sockets
from celadon.app.inforce import read_in_force
from celadon.app.lingering import observe_lingering
from celadon.deploy.ledger import Ledger, read_ledger
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.host.pointer import read_pointer
from celadon.model.names import Slot
from celadon.model.observed import RouteView, SlotStatus, SlotView
from celadon.model.processes import WEB
from celadon.model.report import LingeringReport, SlotReport, Status
from celadon.model.settings import Settings
from celadon.store.journal import read_entries


def observe_status(layout: Layout) -> Status:
    in_force = read_in_force(layout)
    if in_force is None:
        route = RouteView(slot=read_pointer(layout.pointer), seen=False, detail="never deployed")
        return Status(app=layout.app, deployed=False, route=route)
    ledger = read_recorded(layout)
    runner = make_runner(layout, in_force)
    sockets = make_sockets(layout, in_force, runner)
    holder = AppLock(layout.lock).holder()
    route = make_proxy(layout, in_force).observe()
    slots = tuple(
        SlotReport(
            view=runner.observe(slot),
            address=", ".join(map(str, in_force.web.addresses(slot))),
            connections_count=sum(map(sockets.connections_count, in_force.web.addresses(slot))),
            processes=_observe_processes(layout, in_force, slot, is_live=slot is route.slot),
        )
        for slot in Slot
    )
    return Status(
        app=layout.app,
        deployed=True,
        route=route,
        slots=slots,
        running_operation=holder.operation if holder else None,
        running_purpose=holder.purpose if holder else None,
        running_since=holder.since_at if holder else None,
        running_step=ledger.last.step if holder and ledger.last and ledger.last.outcome is None else None,
        open_release=ledger.unsettled.release if ledger.unsettled and not holder else None,
        interrupted=ledger.interrupted is not None and holder is None,
        site=in_force.proxy.site,
        lingering=observe_lingering(layout, in_force, ledger=ledger, runner=runner, sockets=sockets),
    )


def observe_lingering_now(layout: Layout) -> LingeringReport | None:
    in_force, ledger = read_in_force(layout), read_recorded(layout)
    if in_force is None or ledger.lingering is None:
        return None
    runner = make_runner(layout, in_force)
    return observe_lingering(
        layout, in_force, ledger=ledger, runner=runner, sockets=make_sockets(layout, in_force, runner)
    )


def _observe_processes(layout: Layout, settings: Settings, slot: Slot, *, is_live: bool) -> dict[str, SlotView]:
    """What runs or has ended there, and beside what is live what should run."""
    runner_of = make_runner_of(layout, settings)
    wanted = {process for worker in settings.workers for process in worker.processes} if is_live else set()
    wanted |= settings.web.replicas(slot).keys() - {WEB} if is_live else set()
    views = {process: runner_of(process).observe(slot) for process in sorted({*layout.list_processes(), *wanted})}
    return {name: view for name, view in views.items() if view.status is not SlotStatus.STOPPED or name in wanted}


def read_recorded(layout: Layout) -> Ledger:
    return read_ledger(read_entries(layout.journal, app=layout.app, after=0, operation=None))
