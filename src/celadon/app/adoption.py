"""Taking over the switching of a site that runs, and giving it back: what is proposed. Looks, and touches nothing."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from celadon.app.compose import ADOPTIONS, FINDERS, make_proxy
from celadon.app.inforce import read_in_force, require_in_force
from celadon.app.order import Handover
from celadon.app.status import read_recorded
from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.edited import mask
from celadon.host.layout import Layout
from celadon.host.sockets import KernelSockets
from celadon.host.text import render_diff
from celadon.host.units import Keeper, find_keeper
from celadon.model.address import Address
from celadon.model.errors import RefusedError
from celadon.model.names import Slot
from celadon.model.settings import Settings

ADOPTED_SLOT = Slot.BLUE


class Proposal(Struct, frozen=True, kw_only=True):
    """`taken` are the places that would go through the route, `left` all the others, each with its reason or none."""

    taken: tuple[FoundSite, ...]
    left: tuple[FoundSite, ...]
    handover: Handover


def propose_adoption(layout: Layout, settings: Settings) -> Proposal:
    """Looks only. Raises RefusedError when it could not be carried out whole."""
    refuse_adopted(layout)
    if len(settings.web.addresses(ADOPTED_SLOT)) > 1:
        raise RefusedError(
            "what runs already is at one address, and `web.replicas` is more than 1: leave it out until the site is "
            "taken over; the deploy after that brings the others",
            code="replicas_not_adopted",
            next_command="celadon config",
        )
    found = FINDERS[settings.proxy.kind](Path(settings.proxy.config), settings.proxy.binary).find_sites()
    address = settings.web.address(ADOPTED_SLOT)
    taken = tuple(site for site in found if site.upstream == address and not site.reason)
    _refuse_what_is_not_understood([site for site in found if site.upstream == address and site.reason], address)
    if not taken and read_in_force(layout) is None:
        raise RefusedError(
            f"no site sends its requests to {address}, where blue is to be; {_list_upstreams(found)}",
            code="no_such_site",
            next_command="celadon config  # web.ports: the app's present port first",
        )
    pids, keeper = _find_running(address)
    edits = tuple(ADOPTIONS[settings.proxy.kind](layout, settings).propose(taken))
    handover = Handover(edits=edits, unit=keeper.unit, pids=pids, wheres=tuple(site.where for site in taken))
    return Proposal(taken=taken, left=tuple(site for site in found if site not in taken), handover=handover)


def propose_ejection(layout: Layout) -> Handover:
    """Looks only. Raises RefusedError while a deploy is open."""
    settings = require_in_force(layout)
    open_deploy = read_recorded(layout).unsettled
    if open_deploy is not None:
        raise RefusedError(
            f"the deploy of r{open_deploy.release} is not settled",
            code="unblessed",
            next_command="celadon finalize  # or: celadon rollback",
        )
    live = require_live(layout, settings)
    if len(settings.web.addresses(live)) > 1:
        raise RefusedError(
            f"{live} has several replicas, and the lines that are left behind name one address: deploy with "
            "`web.replicas = 1` first",
            code="replicas_not_ejected",
            next_command="celadon deploy",
        )
    return Handover(edits=tuple(ADOPTIONS[settings.proxy.kind](layout, settings).propose_eject(live)))


def require_live(layout: Layout, settings: Settings) -> Slot:
    view = make_proxy(layout, settings).observe()
    if view.slot is None or not view.seen:
        raise RefusedError(
            f"what is live cannot be seen through the proxy: {view.detail}",
            code="route_unseen",
            next_command="celadon check",
        )
    return view.slot


def describe_edits(layout: Layout, handover: Handover) -> Sequence[str]:
    """A diff each, our secrets masked."""
    return [mask(layout, render_diff(edit.path, edit.before or "", edit.after or "")) for edit in handover.edits]


def refuse_adopted(layout: Layout) -> None:
    """An adoption that died on its way is in force but not seen: it may be tried again."""
    settings = read_in_force(layout)
    if settings is None:
        return
    view = make_proxy(layout, settings).observe()
    if view.slot is not None and view.seen:
        raise RefusedError(
            f"{layout.app} goes through celadon's route already", code="already_adopted", next_command="celadon status"
        )


def _refuse_what_is_not_understood(sites: Sequence[FoundSite], address: Address) -> None:
    """A place left behind would go on sending to blue when blue is stopped."""
    if sites:
        lines = "\n".join(f"{site.where}: {site.reason}; by hand:\n{site.by_hand}" for site in sites)
        raise RefusedError(
            f"these send requests to {address} too, and are not understood:\n{lines}",
            code="site_not_understood",
            next_command="celadon adopt  # when they are changed by hand",
        )


def _list_upstreams(found: Sequence[FoundSite]) -> str:
    if not found:
        return "its configuration sends requests nowhere"
    return "found were " + ", ".join(f"{', '.join(site.names)} → {site.upstream or site.reason}" for site in found)


def _find_running(address: Address) -> tuple[tuple[int, ...], Keeper]:
    pids = KernelSockets().listening_pids(address)
    if not pids:
        who = "nobody listens" if pids is not None else "who listens cannot be seen (root can)"
        raise RefusedError(
            f"{who} on {address}", code="nothing_runs", next_command="celadon adopt  # with the app running"
        )
    keepers = {find_keeper(pid) for pid in pids}
    if len(keepers) > 1 or next(iter(keepers)).container:
        names = ", ".join(sorted(keeper.container or keeper.unit or "a plain process" for keeper in keepers))
        raise RefusedError(
            f"{address} is listened on by {names}: one unit or plain processes can be adopted",
            code="occupant_not_understood",
            next_command="celadon deploy  # the first deploy into the other slot",
        )
    return tuple(sorted(pids)), next(iter(keepers))
