"""The same zero with clients at a round trip of 50 ms: a loopback hides what a reload does to what is on its way."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.contract.slot_server import free_port

from bench.proxies.families import Family
from bench.proxies.rows import Row, measure_rows
from bench.proxies.stand import Stand, await_listening, open_stand
from bench.proxies.zero import compare_orders
from bench.tables import Table
from celadon.model.address import TcpAddress
from celadon.model.names import Slot

_ROOT = Path(__file__).parents[2]
_ROUND_TRIP_MS = 50
_THINK_MS = 150
"""With the round trip 200 ms a turn: a reload catches a quarter of the connections with a request on the way."""
_LOAD = {"keepalive": 192, "oneshot": 32, "posts": 96, "websockets": 16, "streams": 4}
_APART_S = 0.3
_WARM_COUNT = 2000
"""Requests after which the clients, who all began at once, are out of step."""


def measure_distance(families: Sequence[Family], *, switches: int) -> Table:
    def measure(family: Family) -> Iterator[Row]:
        with open_stand(family.open) as stand:
            yield _measure(stand, switches=switches)

    head = (
        "proxy, way",
        "switches",
        "requests",
        "failed",
        "closed",
        "of all connection-switches",
        "cut",
        "writes lost / doubled",
    )
    kept = _LOAD["keepalive"] + _LOAD["posts"]
    note = (
        f"Clients behind a relay that delays bytes, ends and resets by {_ROUND_TRIP_MS // 2} ms each way; {kept} "
        f"keep-alive connections of GETs and POSTs, {_THINK_MS} ms between two requests on average. *Of all "
        "connection-switches*: closed under a request, by the number of these connections times that of the "
        "switches."
    )
    return Table(
        title=f"The same at a round trip of {_ROUND_TRIP_MS} ms",
        head=head,
        rows=measure_rows(families, measure),
        note=note,
    )


def _measure(stand: Stand, *, switches: int) -> tuple[object, ...]:
    with run_relay(stand.stage.port, round_trip_ms=_ROUND_TRIP_MS) as port:
        load = stand.start_load(port=port, think_ms=_THINK_MS, **_LOAD)
        while load.count() < _WARM_COUNT:
            time.sleep(0.01)
        to = Slot.GREEN
        for _ in range(switches):
            time.sleep(_APART_S)
            stand.switch(to)
            to = to.other
        time.sleep(_APART_S)
        tally = load.stop()
    lost, doubled = compare_orders(tally, stand.read_orders())
    share = tally.closed / (switches * (_LOAD["keepalive"] + _LOAD["posts"]))
    cut = tally.cut + tally.parted
    return switches, f"{tally.requests:,}", tally.failed, tally.closed, f"{share:.1%}", cut, f"{lost} / {doubled}"


@contextlib.contextmanager
def run_relay(port: int, *, round_trip_ms: float) -> Iterator[int]:
    """The port behind which 127.0.0.1:`port` is that far away."""
    here = free_port()
    words = [sys.executable, "-m", "bench.load.relay", str(here), f"127.0.0.1:{port}", str(round_trip_ms)]
    process = subprocess.Popen(words, cwd=_ROOT)
    try:
        await_listening(TcpAddress(port=here))
        yield here
    finally:
        process.kill()
        process.wait()
