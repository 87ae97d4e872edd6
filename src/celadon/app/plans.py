"""What an operation is about to do, put together from what was ordered, what is seen and what the journal remembers."""

import contextlib

from celadon.app.inforce import merge_in_force
from celadon.app.order import Order
from celadon.contracts.releases import Releases
from celadon.deploy.ledger import Account, Ledger
from celadon.deploy.run import Ports
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import RouteView
from celadon.model.plan import OperationKind, Plan
from celadon.model.release import Source
from celadon.model.settings import Settings


class Plans:
    """Of one order."""

    def __init__(self, order: Order, ledger: Ledger) -> None:
        self._order = order
        self._ledger = ledger

    def make(
        self,
        settings: Settings,
        route: RouteView,
        *,
        ports: Ports,
        release: ReleaseNumber | None,
        source: Source | None = None,
    ) -> Plan:
        """The candidate goes where the route does not. `source` is the order's, where none is given."""
        live = route.slot
        return Plan(
            operation=self._order.operation,
            kind=self._order.kind,
            app=self._order.app,
            lead=self._order.lead,
            candidate=Slot.BLUE if live is None else live.other,
            live=live,
            live_release=self.find_live_release(ports, route),
            settings=settings,
            source=source or self._order.source,
            release=release,
        )

    def make_again(self, account: Account, *, kind: OperationKind, in_force: Settings, releases: Releases) -> Plan:
        """Of an operation that is open, under this order."""
        return Plan(
            operation=self._order.operation,
            kind=kind,
            app=self._order.app,
            lead=self._order.lead,
            candidate=account.candidate or Slot.GREEN,
            live=account.live,
            live_release=account.live_release,
            settings=self._read_settings(account.release, in_force=in_force, releases=releases),
            release=account.release,
        )

    def make_back(self, in_force: Settings, route: RouteView, *, ports: Ports) -> Plan:
        """From what is live to what lingers in the other slot: as a deploy of the live release, gone back from."""
        lingering = self._ledger.lingering
        if route.slot is None or lingering is None:
            raise StepError("nothing lingers", code="plan_incomplete", next_command="celadon status")
        release = self.find_live_release(ports, route)
        return Plan(
            operation=self._order.operation,
            kind=self._order.kind,
            app=self._order.app,
            lead=self._order.lead,
            candidate=route.slot,
            live=lingering.slot,
            live_release=lingering.release,
            settings=self._read_settings(release, in_force=in_force, releases=ports.releases),
            release=release,
        )

    @staticmethod
    def _read_settings(release: ReleaseNumber | None, *, in_force: Settings, releases: Releases) -> Settings:
        """A release that cannot be read is taken as it would run now."""
        if release is not None:
            with contextlib.suppress(StepError):
                return merge_in_force(releases.read(release).manifest.settings, in_force)
        return in_force

    def find_live_release(self, ports: Ports, route: RouteView) -> ReleaseNumber | None:
        """Processes before journal: the slot itself says what it was started with."""
        if route.slot is None:
            return None
        seen = ports.runner.observe(route.slot).release
        if seen is not None:
            return seen
        return self._ledger.blessed[-1] if self._ledger.blessed else None
