"""What holds when an operation has ended well, whichever way it went: stated once, asked by the engine before its last
word and by the tests after every death.

    all traffic goes to one slot        and a restart of the proxy changes nothing about it
    the routed slot runs                traffic has somebody to answer it
    nothing runs beside it, no worker   no orphan; only a deploy that waits for its bless keeps an old slot hot, and
                                        only streams that were left to it keep one alive after the bless
"""

from collections.abc import Mapping

from celadon.deploy.lingering import is_lingering
from celadon.deploy.run import Run
from celadon.deploy.workers import find_stray_worker
from celadon.model.lingering import Lingering
from celadon.model.names import Slot
from celadon.model.observed import RouteView, SlotStatus, SlotView
from celadon.model.plan import Outcome

SETTLED = frozenset({Outcome.DONE, Outcome.REJECTED, Outcome.ROLLED_BACK, Outcome.RECOVERED})
"""Outcomes that leave nothing open."""


def find_broken(route: RouteView, views: Mapping[Slot, SlotView], *, lingering: Lingering | None = None) -> str:
    """The first invariant that does not hold, in words; empty when all do. Pure."""
    if route.split is not None:
        return f"the proxy still gives {route.split.slot} {route.split.percent} % of the traffic"
    if route.disagreement:
        return route.disagreement
    for slot, view in views.items():
        if slot is route.slot and view.status is not SlotStatus.RUNNING:
            what = f"not all runs: {view.exit_reason}" if view.pids else f"nothing runs ({view.status})"
            return f"the proxy routes to {slot}, where {what}"
        runs_beside = slot is not route.slot and view.has_processes
        if runs_beside and not is_lingering(lingering, route, view):
            return f"{slot} runs, though the proxy does not route to it"
    return ""


def confirm(run: Run, outcome: Outcome) -> Outcome:
    """`outcome`, or NEEDS_PERSON when what is seen contradicts it."""
    if outcome not in SETTLED:
        return outcome
    ports = run.ports
    route = ports.proxy.observe()
    broken = find_broken(route, {slot: ports.runner.observe(slot) for slot in Slot}, lingering=run.lingering)
    if not broken and route.slot is not None and (stray := find_stray_worker(run, route.slot.other)):
        broken = f"the worker {stray} runs in {route.slot.other}, though the proxy does not route to it"
    if not broken:
        return outcome
    run.blame(broken, code="invariant_broken", next_command="celadon recover")
    return Outcome.NEEDS_PERSON
