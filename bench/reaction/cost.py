"""What an open window costs: the share of a core that the deploy's process takes, beside the log's bare reading."""

import os
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

from tests.e2e.site import Site, open_site

from bench.reaction.deploying import Deploying
from bench.tables import Table
from celadon.host.lock import AppLock

_LINES_PER_S = 1000
_EVERY_S = 0.1
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def measure_cost(*, duration_s: float) -> Table:
    rows = []
    for name, lines_per_s in (("idle", 0), (f"{_LINES_PER_S:,} lines/s", _LINES_PER_S)):
        with tempfile.TemporaryDirectory(prefix="celadon-bench-") as base, open_site(Path(base)) as site:
            ours, bare = _measure(site, lines_per_s, duration_s)
        rows.append((name, f"{ours:.1f} %", f"{bare:.1f} %", f"{ours / bare:.1f}" if bare else "-"))
    return Table(
        title="What an open window costs, of a core",
        head=("nginx's log", "all of the window", "bare reader", "ratio"),
        rows=rows,
        note=(
            f"Over {duration_s:g} s, at the settings' defaults, by evidence: ten readings of the log a second, four "
            f"looks at the candidate, five at the old slot. There are {_count_processes()} processes on the machine, "
            "and plain ones are looked for among all of them. Bare: the same file read to its end ten times a second, "
            "no line looked at."
        ),
    )


def _measure(site: Site, lines_per_s: int, duration_s: float) -> tuple[float, float]:
    text = site.config.read_text()
    before, _, rest = text.partition("[observe]\n")
    observe = '[observe]\nwindow = "10m"\nmax_error_rate = "5%"\n[drain]'
    site.config.write_text(before + observe + rest.partition("[drain]")[2])
    site.write_version("cost")
    with Deploying(site, terminal=False) as deploying:
        deploying.await_event("window_opened")
        holder = AppLock(site.layout.lock).holder()
        if holder is None:
            raise RuntimeError("no deploy runs")
        over = Event()
        writer = Thread(target=_write_lines, args=(site, lines_per_s, over))
        writer.start()
        began, began_s = _read_cpu_s(holder.pid), time.monotonic()
        bare_s = _read_bare(site.layout.access_log, duration_s)
        took_s = time.monotonic() - began_s
        ours_s = _read_cpu_s(holder.pid) - began
        over.set()
        writer.join()
        site.celadon("abort")
        deploying.end()
    return 100 * ours_s / took_s, 100 * bare_s / took_s


def _write_lines(site: Site, lines_per_s: int, over: Event) -> None:
    """Of another site's slot: the window is to stay open."""
    site.visit()
    line = site.layout.access_log.read_bytes().splitlines(keepends=True)[-1]
    part = line.replace(b'"slot":"green"', b'"slot":"blue"') * int(lines_per_s * _EVERY_S)
    with site.layout.access_log.open("ab", buffering=0) as stream:
        while not over.wait(_EVERY_S):
            stream.write(part)


def _read_bare(path: Path, duration_s: float) -> float:
    until, began_s = time.monotonic() + duration_s, time.thread_time()
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        while time.monotonic() < until:
            stream.read()
            time.sleep(_EVERY_S)
    return time.thread_time() - began_s


def _read_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _count_processes() -> int:
    return sum(entry.name.isdigit() for entry in Path("/proc").iterdir())
