"""What HAProxy counts of each server, from `show stat` on its runtime socket: 0.5 ms.

An answer of the app is counted by its class (`hrsp_5xx`); a visitor who got HAProxy's own 502, 503 or 504 instead is
one of `econ` (no connection, after all tries; measured, 2.6) or `eresp` (it broke). Upgraded connections are no
requests that end, so `hrsp_1xx` is left out."""

from collections.abc import Callable, Mapping
from csv import DictReader

from celadon.drivers.traffic.counted import Totals, TotalsCounters
from celadon.model.names import Slot

_SERVERS = 4
_GOOD = ("hrsp_2xx", "hrsp_3xx", "hrsp_other")
_CLIENT_ERRORS = "hrsp_4xx"
_FAILED = ("hrsp_5xx", "econ", "eresp")


def make_haproxy_counters(ask: Callable[[str], str], *, backend: str, servers: Mapping[str, Slot]) -> TotalsCounters:
    """`ask` sends a line to the runtime socket; `servers` are the names of visitors' servers."""
    return TotalsCounters(lambda: parse_stat(ask(f"show stat {backend} {_SERVERS} -1"), servers=servers))


def parse_stat(text: str, *, servers: Mapping[str, Slot]) -> dict[Slot, Totals]:
    """Raises ValueError for a number that is none."""
    rows = DictReader(text.removeprefix("# ").splitlines())
    return {servers[row["svname"]]: _read_row(row) for row in rows if row.get("svname") in servers}


def _read_row(row: Mapping[str, str]) -> Totals:
    client_errors_count = int(row[_CLIENT_ERRORS] or 0)
    failed_count = sum(int(row[name] or 0) for name in _FAILED)
    good_count = sum(int(row[name] or 0) for name in _GOOD)
    return Totals(good_count + client_errors_count + failed_count, failed_count, client_errors_count)
