"""What is seen of a slot that lives on for its streams. Read by whoever tells of it, and by whoever needs its place."""

import time

from celadon.app.keeping import is_kept
from celadon.contracts.runner import Runner
from celadon.contracts.sockets import Sockets
from celadon.deploy.kinds import Watch
from celadon.deploy.ledger import Ledger
from celadon.deploy.lingering import count_open, is_lingering
from celadon.deploy.replicas import list_open
from celadon.host.layout import Layout
from celadon.host.pointer import read_pointer
from celadon.model.observed import RouteView
from celadon.model.report import LingeringReport
from celadon.model.settings import POOLED_S, Settings


def observe_lingering(
    layout: Layout, settings: Settings, *, ledger: Ledger, runner: Runner, sockets: Sockets
) -> LingeringReport | None:
    """None where none lingers. One look: a stream that talks just now is told by the count of what is not idle."""
    lingering = ledger.lingering
    if lingering is None:
        return None
    route = RouteView(slot=read_pointer(layout.pointer), seen=False)
    if not is_lingering(lingering, route, runner.observe(lingering.slot)):
        return None
    now_s = time.monotonic()
    watch = Watch(pooled_s=POOLED_S[settings.proxy.kind])
    open_ones = list_open(sockets, settings.web.addresses(lingering.slot))
    kinds = count_open(watch, open_ones, lingering, now_s=now_s)
    return LingeringReport(
        slot=lingering.slot,
        release=lingering.release,
        streams_count=kinds.requests_count + kinds.streams_count,
        left_s=lingering.left_s(now_s),
        until_at=lingering.until_at,
        is_kept=is_kept(layout),
    )
