"""How fast a bad answer is counted, and how fast the route is back after the verdict."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.e2e.site import Site
from tests.e2e.site_proxies import SITE_PROXIES

from bench.reaction.cost import measure_cost
from bench.reaction.rounds import Round, measure_rounds
from bench.reaction.troubles import NONE, TROUBLES, Trouble
from bench.tables import Table, spread

_READ_MARK_MS, _MOVED_MARK_MS = 250.0, 50.0
_THRESHOLDS = 'judge = "thresholds"\nwindow = "60s"\nmin_requests = 1\nmax_error_rate = "0.1%"\n'
_EVIDENCE = 'window = "60s"\nmax_error_rate = "5%"\n'


def run(*, quick: bool, only: str = "") -> str:
    """`only`: the rows whose name has it; `cost` is the window's cost."""
    texts = [] if only == "cost" else [_measure_ways(quick=quick, only=only).text()]
    if only in {"", "cost"}:
        texts.append(measure_cost(duration_s=3.0 if quick else 20.0).text())
    return "\n".join(texts)


def _measure_ways(*, quick: bool, only: str) -> Table:
    count, began = 3 if quick else 20, os.getloadavg()[0]
    cases = [(proxy, NONE, False) for proxy in SITE_PROXIES]
    cases += [("nginx", trouble, False) for trouble in TROUBLES]
    cases += [("nginx", NONE, True)]
    rows = []
    for proxy, trouble, by_evidence in cases:
        name = ", ".join(filter(None, (proxy, trouble.name, "by evidence" if by_evidence else "")))
        if only.lower() in name.lower():
            with _open(proxy, trouble, by_evidence=by_evidence) as site:
                rounds = list(measure_rounds(site, trouble, count=count, by_evidence=by_evidence))
            rows.append((name, *_row(rounds, by_evidence=by_evidence)))
            sys.stderr.write(f"{rows[-1]}\n")
    head = (
        "proxy, trouble",
        "rounds",
        "bad answer to verdict ms",
        f"≤ {_READ_MARK_MS:g}",
        "bare",
        "verdict to pointer ms",
        f"≤ {_MOVED_MARK_MS:g}",
        "bare",
        "ratio",
        "bad answer to old slot's ms",
        "bad answers",
    )
    return Table(
        title="The way back",
        head=head,
        rows=rows,
        note=(
            "Median / maximum. A verdict of the first bad answer, but for the row by evidence, which takes as many as "
            "the rule asks for at 20/s. Bare: that answer's line, to whoever asks for it each millisecond; the rename "
            "with its fsync alone, on the same disk in the same trouble. The load average was "
            f"{began:.1f} when it began and {os.getloadavg()[0]:.1f} when it ended."
        ),
    )


def _row(rounds: Sequence[Round], *, by_evidence: bool) -> tuple[object, ...]:
    read, moved = [each.read_ms for each in rounds], [each.moved_ms for each in rounds]
    lines = [each.bare_read_ms for each in rounds if each.bare_read_ms is not None]
    bare = [each.bare_moved_ms for each in rounds]
    return (
        len(rounds),
        spread(read),
        "-" if by_evidence else _say(max(read), _READ_MARK_MS),
        spread(lines),
        spread(moved),
        _say(max(moved), _MOVED_MARK_MS),
        spread(bare),
        f"{median(moved) / median(bare):.0f}",
        spread([each.seen_ms for each in rounds]),
        spread([float(each.bad_count) for each in rounds]),
    )


def _say(worst: float, mark: float) -> str:
    return "held" if worst <= mark else "MISSED"


@contextmanager
def _open(proxy: str, trouble: Trouble, *, by_evidence: bool) -> Iterator[Site]:
    """With the window's own settings as they are where nobody sets them."""
    with tempfile.TemporaryDirectory(prefix="celadon-bench-") as base:
        site = Site(Path(base), proxy=proxy)
        if trouble.small:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", site.state], check=True)
        try:
            site.start_proxy()
            site.route()
            first = site.deploy("v1")
            if first.code != 0:
                raise RuntimeError(first.output)
            _write_observe(site.config, _EVIDENCE if by_evidence else _THRESHOLDS)
            yield site
        finally:
            site.close()


def _write_observe(config: Path, settings: str) -> None:
    before, _, rest = config.read_text().partition("[observe]\n")
    config.write_text(f"{before}[observe]\n{settings}[drain]{rest.partition('[drain]')[2]}")
