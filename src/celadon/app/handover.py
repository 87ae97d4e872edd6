"""An adoption or an ejection that a person agreed to, carried out under the lock."""

import os
import shutil

from celadon.app.adoption import ADOPTED_SLOT, refuse_adopted, require_live
from celadon.app.compose import ADOPTIONS, make_proxy
from celadon.app.inforce import require_in_force, write_in_force
from celadon.app.order import Handover, Order
from celadon.contracts.journal import Journal
from celadon.deploy.ledger import read_ledger
from celadon.drivers.probes.table import make_probe
from celadon.drivers.releases.adopting import keep_adopted
from celadon.drivers.releases.store import ReleaseStore
from celadon.drivers.runners.adopted import adopt_running, forget_adopted, read_adopted
from celadon.events import Blessed, CheckFound, OperationStarted, SiteAdopted, SiteEjected
from celadon.host.layout import Layout
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import FindingLevel
from celadon.model.release import Fate
from celadon.model.settings import Settings


def adopt_site(layout: Layout, order: Order, *, journal: Journal) -> None:
    """The lock is held. Everything of ours is durable before the proxy is touched, so that a death leaves the site as
    it was or adopted; the next `celadon adopt` goes on from there. Raises StepError or RefusedError, having put back
    what was there."""
    settings, handover = _require(order)
    refuse_adopted(layout)
    journal.append(_describe_start(order, live=ADOPTED_SLOT))
    store = ReleaseStore(layout, owner=settings.user)
    number = _choose_number(layout, store, journal=journal)
    keep_adopted(layout, number, settings=settings, unit=handover.unit, lead=order.lead)
    adopt_running(layout, ADOPTED_SLOT, release=number, unit=handover.unit, pids=handover.pids)
    write_in_force(layout, settings)
    try:
        ADOPTIONS[settings.proxy.kind](layout, settings).adopt(handover.edits, live=ADOPTED_SLOT)
        view = make_proxy(layout, settings).observe()
        if view.slot is not ADOPTED_SLOT or not view.seen:
            raise StepError(
                f"the route is not seen: {view.detail}", code="switch_not_seen", next_command="celadon check"
            )
    except (StepError, OSError):
        _forget(layout, number)
        raise
    store.mark(store.read(number), Fate.BLESSED)
    journal.append(
        SiteAdopted(
            slot=ADOPTED_SLOT,
            release=number,
            wheres=handover.wheres,
            files=tuple(str(edit.path) for edit in handover.edits),
            unit=handover.unit,
        )
    )
    journal.append(Blessed(slot=ADOPTED_SLOT, release=number))
    _tell_readiness(settings, journal=journal)


def eject_site(layout: Layout, order: Order, *, journal: Journal) -> None:
    """The lock is held. The app runs on as it does; of ours the releases and the journal stay on disk. Raises
    StepError, having put back what was there."""
    settings = require_in_force(layout)
    if order.handover is None:
        raise StepError("an ejection needs its edits", code="order_incomplete", next_command="celadon eject")
    live = require_live(layout, settings)
    journal.append(_describe_start(order, live=live))
    ADOPTIONS[settings.proxy.kind](layout, settings).eject(order.handover.edits, live=live)
    layout.settings.rename(layout.settings.with_name("settings.ejected.json"))
    files = tuple(str(edit.path) for edit in order.handover.edits)
    journal.append(SiteEjected(slot=live, address=str(settings.web.address(live)), files=files))


def _choose_number(layout: Layout, store: ReleaseStore, *, journal: Journal) -> ReleaseNumber:
    """The next, or the one that an adoption had chosen which died on its way."""
    begun = read_adopted(layout).get(ADOPTED_SLOT)
    if begun is not None and not begun.stopped:
        return begun.release
    return ReleaseNumber(max([*store.numbers(), read_ledger(journal.read()).highest_release], default=0) + 1)


def _require(order: Order) -> tuple[Settings, Handover]:
    if order.settings is None or order.handover is None:
        raise StepError("an adoption needs settings", code="order_incomplete", next_command="celadon adopt")
    return order.settings, order.handover


def _forget(layout: Layout, number: ReleaseNumber) -> None:
    """What an adoption that was refused had prepared."""
    layout.settings.unlink(missing_ok=True)
    forget_adopted(layout, ADOPTED_SLOT)
    shutil.rmtree(layout.release(number), ignore_errors=True)


def _describe_start(order: Order, *, live: Slot) -> OperationStarted:
    return OperationStarted(kind=order.kind, lead=order.lead, pid=os.getpid(), live=live)


def _tell_readiness(settings: Settings, *, journal: Journal) -> None:
    """Asked of what runs: a question that it cannot answer would reject every later deploy."""
    probe = make_probe(settings, env=dict)
    answer = probe.ask(settings.web.address(ADOPTED_SLOT), timeout_s=settings.readiness.max_latency_s)
    if not answer.ok:
        journal.append(
            CheckFound(
                level=FindingLevel.WARNING,
                subject="readiness",
                text=f"what runs now would not count as ready: {probe.describe()}: {answer.reason}",
                fix="set [readiness] to what the app answers, before the first deploy",
            )
        )
