"""All that is measured of the proxies, in one run, and its page in the documents."""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.proxies.adoption import measure_adoption
from bench.proxies.cost import measure_cost
from bench.proxies.distance import measure_distance
from bench.proxies.families import FAMILIES, Family
from bench.proxies.latency import measure_latency
from bench.proxies.shares import measure_shares
from bench.proxies.zero import measure_zero
from bench.tables import Table

_BEGIN, _END = "<!-- measured: begin (written by `./run bench proxies --write`) -->", "<!-- measured: end -->"
_INTRODUCTION = """\
# What each proxy does under a switch

Each proxy and way runs as on a server, privately, with two slots behind it; all below is of one run, in which they
take their turns on the same machine. `./run bench proxies` measures yours.
"""

MEASURES: dict[str, Callable[[Sequence[Family], bool], Table]] = {
    "zero": lambda families, quick: measure_zero(
        families, requests=5_000 if quick else 100_000, switches=20 if quick else 100
    ),
    "latency": lambda families, quick: measure_latency(families, switches=8 if quick else 50),
    "cost": lambda families, quick: measure_cost(families, turns=50 if quick else 600),
    "distance": lambda families, quick: measure_distance(families, switches=5 if quick else 20),
    "shares": lambda families, quick: measure_shares(families, requests=1_000 if quick else 20_000),
    "adoption": lambda families, quick: measure_adoption(families, times=1 if quick else 5),
}


def run(*, quick: bool, measures: Sequence[str] = (), only: str = "", page: Path | None = None) -> None:
    """Prints each table when it is there. `only`: the families whose names have it."""
    families = [family for family in FAMILIES if only.lower() in family.name.lower()]
    tables = []
    for name, measure in MEASURES.items():
        if not measures or name in measures:
            began = time.monotonic()
            table = measure(families, quick)
            sys.stdout.write(f"{table.text()}\n\n({name} took {time.monotonic() - began:.0f} s)\n")
            sys.stdout.flush()
            tables.append(table)
    if page is not None:
        write_page(page, tables)


def write_page(page: Path, tables: Sequence[Table]) -> None:
    """Between the two comment lines of `page`; the rest of it stays."""
    text = page.read_text() if page.exists() else f"{_INTRODUCTION}\n{_BEGIN}\n{_END}\n"
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    body = "\n".join([f"Measured on {describe_machine()}.\n", *(table.markdown() for table in tables)])
    page.write_text(f"{before}{_BEGIN}\n\n{body}\n{_END}{after}")


def describe_machine() -> str:
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    day = datetime.now(tz=UTC).date().isoformat()
    kernel = platform.release().partition("-")[0]
    programs = ", ".join(filter(None, [_nginx(), _haproxy(), *map(_packaged, ("Caddy", "Traefik"))]))
    return f"{day}: {os.cpu_count()} cores, {system}, Linux {kernel}, {programs}"


def _nginx() -> str:
    return _say("nginx", ["nginx", "-v"], r"nginx/(\S+)")


def _haproxy() -> str:
    return _say("HAProxy", ["haproxy", "-v"], r"version (\d[\d.]*)")


def _say(name: str, words: list[str], pattern: str) -> str:
    try:
        said = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    found = re.search(pattern, said.stdout + said.stderr)
    return f"{name} {found[1]}" if found else ""


def _packaged(name: str) -> str:
    try:
        return f"{name} {version(f'{name.lower()}-bin')}"
    except PackageNotFoundError:
        return ""
