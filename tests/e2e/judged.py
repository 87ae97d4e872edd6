"""A site with usual traffic behind it, whose deploys are judged by evidence."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from celadon.app.status import observe_status
from celadon.model.observed import SlotStatus
from tests.e2e.crowd import visitors
from tests.e2e.site import Done, Site, open_site

PATHS = ("/", "/search", "/orders")
_THREADS_COUNT = 8
_USUAL_COUNT = 1_500
"""Of good answers before, each a unit: a baseline of a handful would tolerate a fifth of failures."""


def order_journey(*, every: str) -> str:
    """For the end of celadon.toml: an order is placed and found."""
    return f"""
[[journeys]]
name = "order"
every = "{every}"
[[journeys.steps]]
method = "POST"
path = "/orders"
body = "{{run}}"
expect = {{ status = [201] }}
[[journeys.steps]]
path = "/orders"
expect = {{ body_contains = ["{{run}}"] }}
"""


@contextmanager
def open_judged_site(base: Path, *, proxy: str) -> Iterator[Site]:
    """Its live release has a baseline."""
    with open_site_by_evidence(base, proxy=proxy) as site:
        with usual_visitors(site, clients_count=_USUAL_COUNT) as counts:
            await_count(counts, _USUAL_COUNT)
        yield site


def usual_visitors(site: Site, *, clients_count: int = 400) -> AbstractContextManager[Counter[int]]:
    """As many at once before a deploy as in its window: else the one would be quicker than the other."""
    return visitors(site, paths=PATHS, clients_count=clients_count, threads_count=_THREADS_COUNT)


def await_count(counts: Counter[int], count: int) -> None:
    until = time.monotonic() + 60
    while counts[200] < count:
        assert time.monotonic() < until
        time.sleep(0.02)


@contextmanager
def open_site_by_evidence(base: Path, *, proxy: str) -> Iterator[Site]:
    with open_site(base, proxy=proxy) as site:
        site.config.write_text(site.config.read_text().replace('judge = "thresholds"\n', ""))
        yield site


@contextmanager
def observing(site: Site, *, extra: str = "", **lengths: str) -> Iterator[None]:
    """`lengths` are settings of [observe], `extra` the end of celadon.toml."""
    usual = site.config.read_text()
    chosen = "\n".join(f'{name} = "{length}"' for name, length in ({"interval": "50ms"} | lengths).items())
    site.config.write_text(re.sub(r'window = "400ms"\ninterval = "50ms"', chosen, usual) + extra)
    try:
        yield
    finally:
        site.config.write_text(usual)


def deploy(site: Site, *, broken: str = "", in_the_window: Callable[[], None] = lambda: None) -> Done:
    """The next version; `in_the_window` is called when the window has opened."""
    site.write_version("next", broken=broken)
    process = site.start_celadon("deploy", "--json")
    output = ""
    for line in process.stdout or ():
        output += line
        if '"window_opened"' in line:
            in_the_window()
    return Done(process.wait(), output)


def settle(site: Site) -> None:
    """Nothing is left open for the next deploy."""
    if all(report.view.status is SlotStatus.RUNNING for report in observe_status(site.layout).slots):
        assert site.celadon("rollback").code == 0


def judge(done: Done) -> tuple[int, str, str]:
    """Exit code, judgement and rule."""
    verdict = verdict_of(done)
    return done.code, verdict["judgement"], verdict["rule"]


def verdict_of(done: Done) -> Mapping[str, Any]:
    [verdict] = done.events("verdict_reached")
    return verdict


def bad_answers(counts: Counter[int]) -> int:
    return sum(count for status, count in counts.items() if not 200 <= status < 400)
