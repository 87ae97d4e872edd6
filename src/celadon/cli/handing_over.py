"""Adoption and ejection on a terminal: the diff, the question, the order."""

import sys
from collections.abc import Sequence

import click

from celadon.app.adoption import describe_edits, propose_adoption, propose_ejection
from celadon.app.order import Handover
from celadon.app.verbs import find_lead, order_of
from celadon.cli.context import make_sinks
from celadon.cli.performing import perform_order
from celadon.contracts.adoption import FoundSite
from celadon.host.layout import Layout
from celadon.model.errors import RefusedError
from celadon.model.plan import OperationKind
from celadon.model.settings import Settings


def adopt(layout: Layout, settings: Settings, *, lead: str | None, yes: bool, as_json: bool, quiet: bool) -> int:
    proposal = propose_adoption(layout, settings)
    if not as_json:
        click.echo(_describe_sites(proposal.taken, proposal.left))
    _agree(layout, proposal.handover, yes=yes, as_json=as_json, next_command="celadon adopt")
    order = order_of(layout, OperationKind.ADOPT, lead=find_lead(lead), settings=settings, handover=proposal.handover)
    return perform_order(layout, order, make_sinks(as_json=as_json, quiet=quiet))


def eject(layout: Layout, *, lead: str | None, yes: bool, as_json: bool, quiet: bool) -> int:
    handover = propose_ejection(layout)
    _agree(layout, handover, yes=yes, as_json=as_json, next_command="celadon eject")
    order = order_of(layout, OperationKind.EJECT, lead=find_lead(lead), handover=handover)
    return perform_order(layout, order, make_sinks(as_json=as_json, quiet=quiet))


def _describe_sites(taken: Sequence[FoundSite], left: Sequence[FoundSite]) -> str:
    lines = [f"  {site.where}: {_name(site)} → {site.upstream}: through celadon's route" for site in taken]
    lines += [f"  {site.where}: {_name(site)} → {site.upstream or site.reason}: left as it is" for site in left]
    return "\n".join(lines)


def _name(site: FoundSite) -> str:
    return f"{', '.join(site.names) or 'any host'} {site.path}"


def _agree(layout: Layout, handover: Handover, *, yes: bool, as_json: bool, next_command: str) -> None:
    """Raises RefusedError without a yes: nobody's site is edited unseen."""
    if not as_json:
        click.echo("\n" + "\n".join(describe_edits(layout, handover)))
    if yes:
        return
    if as_json or not sys.stdin.isatty() or not click.confirm("Put this in place?", default=False):
        raise RefusedError("nobody said yes", code="declined", next_command=f"{next_command} -y")
