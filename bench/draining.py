"""What a drain costs: the share of a core that the deploy's process takes while an old slot's connections stay open."""

import contextlib
import os
import resource
import socket
import tempfile
import time
from pathlib import Path

from tests.e2e.site import Site, open_site

from bench.reaction.deploying import Deploying
from bench.tables import Table
from celadon.app.inforce import require_in_force
from celadon.host.lock import AppLock
from celadon.model.address import TcpAddress
from celadon.model.names import Slot

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_MARK = "1 %"


def run(*, duration_s: float) -> Table:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 1 << 16), most))
    rows = [(count, f"{_measure(count, duration_s):.2f} %", _MARK) for count in (1, 100, 1000)]
    return Table(
        title="What a drain costs, of a core",
        head=("connections", "the operation", "mark"),
        rows=rows,
        note=f"Over {duration_s:g} s; the connections are a client's own that asked once and was not answered.",
    )


def _measure(connections_count: int, duration_s: float) -> float:
    with tempfile.TemporaryDirectory(prefix="celadon-bench-") as base, open_site(Path(base)) as site:
        site.config.write_text(site.config.read_text().replace('timeout = "3s"', f'timeout = "{duration_s + 5:g}s"'))
        site.write_version("cost")
        with contextlib.ExitStack() as opened, Deploying(site, terminal=False) as deploying:
            for _ in range(connections_count):
                opened.enter_context(_ask(site))
            deploying.await_event("drain_counted")
            holder = AppLock(site.layout.lock).holder()
            if holder is None:
                raise RuntimeError("no deploy runs")
            began_s, began_cpu_s = time.monotonic(), _read_cpu_s(holder.pid)
            time.sleep(duration_s)
            share = (_read_cpu_s(holder.pid) - began_cpu_s) / (time.monotonic() - began_s)
            opened.close()
            deploying.end()
    return 100 * share


def _ask(site: Site) -> socket.socket:
    """Half a request, so that the slot goes on waiting for the rest."""
    address = require_in_force(site.layout).web.address(Slot.BLUE)
    assert isinstance(address, TcpAddress)
    connection = socket.create_connection((address.host, address.port), timeout=10)
    connection.sendall(b"POST /orders HTTP/1.1\r\n")
    return connection


def _read_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
