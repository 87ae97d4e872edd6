"""A running site handed to Celadon and taken back, under load."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.proxies.families import Family
from bench.proxies.rows import Row, measure_rows
from bench.proxies.stand import Stand, StandError, open_stand
from bench.proxies.zero import compare_orders
from bench.tables import Table
from celadon.app.compose import ADOPTIONS, FINDERS
from celadon.model.names import Slot

_LOAD = {"keepalive": 6, "oneshot": 3, "posts": 3, "websockets": 4, "streams": 2}
_PAUSE_S = 0.3


def measure_adoption(families: Sequence[Family], *, times: int) -> Table:
    def measure(family: Family) -> Iterator[Row]:
        if family.owned is not None and family.proxy in ADOPTIONS:
            with open_stand(family.open, prepare=family.owned, installs=False) as stand:
                yield times, *_measure(family, stand, times=times)

    head = ("proxy, way", "times", "requests", "failed", "closed", "cut", "writes lost / doubled", "adopt / eject ms")
    note = (
        "Adopted, switched there and back, ejected, so many times. The proxy reloads twice for it, once each way,"
        " which is what closes connections; the switches between do not."
    )
    return Table(title="Adoption and ejection under load", head=head, rows=measure_rows(families, measure), note=note)


def _measure(family: Family, stand: Stand, *, times: int) -> tuple[object, ...]:
    stand.stage.stop()
    stand.stage.start()
    load = stand.start_load(**_LOAD)
    took: list[tuple[float, float]] = []
    for _ in range(times):
        time.sleep(_PAUSE_S)
        adopt_s = _adopt(family, stand)
        for to in (Slot.GREEN, Slot.BLUE):
            time.sleep(_PAUSE_S)
            stand.switch(to)
        took.append((adopt_s, _eject(family, stand)))
    time.sleep(_PAUSE_S)
    tally = load.stop()
    lost, doubled = compare_orders(tally, stand.read_orders())
    slowest = " / ".join(f"{max(pair[index] for pair in took) * 1000:.0f}" for index in range(2))
    cut = tally.cut + tally.parted
    return f"{tally.requests:,}", tally.failed, tally.closed, cut, f"{lost} / {doubled}", slowest


def _adopt(family: Family, stand: Stand) -> float:
    began = time.monotonic()
    proxy = stand.settings.proxy
    blue = stand.settings.web.address(Slot.BLUE)
    sites = FINDERS[family.proxy](Path(proxy.config), proxy.binary).find_sites()
    found = [site for site in sites if site.upstream == blue and not site.reason]
    if len(found) != 1:
        raise StandError(f"one site to adopt was there; found: {sites}")
    adoption = ADOPTIONS[family.proxy](stand.stage.layout, stand.settings)
    adoption.adopt(adoption.propose(found), live=Slot.BLUE)
    return time.monotonic() - began


def _eject(family: Family, stand: Stand) -> float:
    began = time.monotonic()
    adoption = ADOPTIONS[family.proxy](stand.stage.layout, stand.settings)
    adoption.eject(adoption.propose_eject(Slot.BLUE), live=Slot.BLUE)
    return time.monotonic() - began
