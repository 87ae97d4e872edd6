"""Where slots listen while the number of their replicas changes, or their ports.

What is live listens where it was started until it is left, whatever celadon.toml says by now: the proxy is never told
of an address that nobody, or somebody else, listens on. So a slot gets its new addresses when it is the candidate.
"""

from pathlib import Path

from msgspec.structs import replace

from celadon.config.build import list_addresses
from celadon.model.errors import RefusedError
from celadon.model.names import Slot
from celadon.model.settings import Settings


def keep_live(given: Settings, in_force: Settings | None, live: Slot | None) -> Settings:
    """Pure. `given` with the addresses of `live` as they are in force. Raises RefusedError where the candidate would
    take one of them."""
    if in_force is None or live is None or given.web.addresses(live) == in_force.web.addresses(live):
        return given
    kept = replace(given, web=given.web.at(in_force.web, live))
    shared = {*kept.web.addresses(live)} & {*kept.web.addresses(live.other)}
    if shared:
        taken = ", ".join(sorted(map(str, shared)))
        raise RefusedError(
            f"{live}, which is live, listens on {taken}, which {live.other} is to have now: give other `web.ports`",
            code="address_taken",
            next_command="celadon config",
        )
    return kept


def level_idle(in_force: Settings, live: Slot | None, *, root: Path) -> Settings:
    """Pure. With as many replicas in the idle slot as are live, from the idle slot's first address on: a restart, or a
    way back, is not to run on fewer than visitors have now. As it is where that would take an address of what is
    live."""
    if live is None:
        return in_force
    count = len(in_force.web.addresses(live))
    first, *more = list_addresses(in_force.web.address(live.other), in_force.app, live.other, count=count, root=root)
    if len(in_force.web.addresses(live.other)) == count or {first, *more} & {*in_force.web.addresses(live)}:
        return in_force
    idle = (
        {"blue": first, "blue_more": tuple(more)} if live is Slot.GREEN else {"green": first, "green_more": tuple(more)}
    )
    return replace(in_force, web=replace(in_force.web, **idle))
