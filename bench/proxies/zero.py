"""What switches break, under load that never retries."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from bench.load.client import Tally
from bench.proxies.families import Family
from bench.proxies.rows import Row, measure_rows
from bench.proxies.stand import Stand, open_stand
from bench.tables import Table
from celadon.model.names import Slot

_LOAD = {"keepalive": 12, "oneshot": 3, "posts": 6, "websockets": 8, "streams": 4}
_BETWEEN_S = 0.05
_LONGEST_S = 180.0


def measure_zero(families: Sequence[Family], *, requests: int, switches: int) -> Table:
    def measure(family: Family) -> Iterator[Row]:
        with open_stand(family.open) as stand:
            yield _measure(stand, requests=requests, switches=switches)

    head = ("proxy, way", "switches", "requests", "failed", "closed", "cut", "writes lost / doubled", "requests/s")
    note = (
        "Keep-alive and one-connection-a-request GETs, keep-alive POSTs with ids, WebSockets and downloads of two"
        " seconds; nobody retries. *failed*: refused, reset, empty, broken, non-2xx, or none in 30 s. *closed*: a"
        " reused connection that was closed under a request. *cut*: WebSockets and downloads that ended before "
        "their end, by a close frame or without."
    )
    return Table(title="What switches break under load", head=head, rows=measure_rows(families, measure), note=note)


def _measure(stand: Stand, *, requests: int, switches: int) -> tuple[object, ...]:
    load = stand.start_load(**_LOAD)
    began = time.monotonic()
    done, to = 0, Slot.GREEN
    while done < switches or load.count() < requests:
        if time.monotonic() - began > _LONGEST_S:
            break
        time.sleep(_BETWEEN_S)
        stand.switch(to)
        done, to = done + 1, to.other
    took_s = time.monotonic() - began
    rate = load.count() / took_s
    tally = load.stop()
    lost, doubled = compare_orders(tally, stand.read_orders())
    cut = tally.cut + tally.parted
    return done, f"{tally.requests:,}", tally.failed, tally.closed, cut, f"{lost} / {doubled}", f"{rate:,.0f}"


def compare_orders(tally: Tally, kept: Counter[str]) -> tuple[int, int]:
    """Acknowledged writes that no slot holds; writes that were made twice, acknowledged or not."""
    lost = [order for order in tally.acknowledged if order not in kept]
    return len(lost), sum(count > 1 for count in kept.values())
