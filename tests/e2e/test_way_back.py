"""The way back when the machine is in trouble too: nothing but the visitors' answers stands between a bad release and
the old one."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from bench.reaction.deploying import Deploying
from bench.reaction.troubles import be_fine, begin_to_fail, fill_disk

from celadon.events import Entry, Event, OperationEnded, VerdictReached
from celadon.model.errors import JournalError
from celadon.model.names import OperationId, Slot
from celadon.model.plan import Outcome
from celadon.store.journal import open_journal
from tests.e2e.crowd import visitors
from tests.e2e.site import Site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

_LIMIT_S = 10.0
"""As long as an answer to readiness may take: longer than any of these windows needs."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """All that is celadon's lies on a small disk."""
    site = Site(tmp_path_factory.mktemp("site"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", site.state], check=True)
    try:
        site.start_proxy()
        first = site.deploy("v1")
        assert first.code == 0, first.output
        text = site.config.read_text().replace('window = "400ms"', 'window = "30s"\nmax_window = "30s"')
        site.config.write_text(text.replace('path = "/health"', f'path = "/health"\nmax_latency = "{_LIMIT_S:g}s"'))
        yield site
    finally:
        site.close()


@pytest.fixture
def site(opened: Site) -> Iterator[Site]:
    """v1 is live, and must be so in the end."""
    be_fine(opened)
    yield opened
    assert opened.visit() == (200, "v1")
    assert opened.running_slots() == ["blue"]


def deploy(site: Site, *, broken: str, terminal: bool = False) -> Deploying:
    site.write_version("v2", broken=broken)
    deploying = Deploying(site, terminal=terminal)
    deploying.await_event("window_opened")
    return deploying


def find(entries: list[Entry], kind: type[Event]) -> Event:
    return next(entry.body for entry in entries if isinstance(entry.body, kind))


def test_a_candidate_that_hangs_does_not_hold_up_the_counting_of_its_bad_answers(site: Site) -> None:
    """Its readiness is being asked when the verdict is reached, and nobody waits for that."""
    with deploy(site, broken="hangs") as deploying:
        begin_to_fail(site)
        with visitors(site):
            entries = deploying.end()
    verdict = find(entries, VerdictReached)
    assert isinstance(verdict, VerdictReached)
    assert (verdict.rule, verdict.evidence.probes_failed_count) == ("max_error_rate", 0)


def test_a_terminal_that_is_gone_changes_nothing(site: Site) -> None:
    with deploy(site, broken="later", terminal=True) as deploying:
        deploying.hang_up()
        begin_to_fail(site)
        with visitors(site):
            entries = deploying.end()
    ended = find(entries, OperationEnded)
    assert isinstance(ended, OperationEnded)
    assert (ended.outcome, ended.route) == (Outcome.ROLLED_BACK, Slot.BLUE)


def test_a_disk_that_fills_up_in_the_window_changes_nothing(site: Site) -> None:
    """What the verdict was is recorded all the same: there is room in reserve."""
    with deploy(site, broken="later") as deploying, fill_disk(site):
        begin_to_fail(site)
        with visitors(site):
            entries = deploying.end()
    verdict, ended = find(entries, VerdictReached), find(entries, OperationEnded)
    assert isinstance(verdict, VerdictReached)
    assert isinstance(ended, OperationEnded)
    assert (verdict.rule, ended.outcome) == ("max_error_rate", Outcome.ROLLED_BACK)


def test_a_journal_that_takes_nothing_more_does_not_stand_in_the_way(site: Site) -> None:
    """The reserve is used up too: the route goes back, and how it ended is recorded once there is room."""
    with deploy(site, broken="later") as deploying, fill_disk(site):
        use_up_reserve(site)
        begin_to_fail(site)
        with visitors(site):
            deploying.await_route(site.layout.pointer, Slot.BLUE)
            code = deploying.wait()
    assert (code, site.celadon("recover").code) == (11, 0)


def use_up_reserve(site: Site) -> None:
    journal = open_journal(site.layout.journal, app=site.layout.app, operation=OperationId("other"))
    for size in (50_000, 2_000, 0):
        with suppress(JournalError):
            while True:
                journal.append(OperationEnded(outcome=Outcome.BUSY, reason="x" * size))
    journal.close()
