"""An app that cannot run twice, behind a real nginx: it holds a lock while it runs, and ends where that is taken."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site, open_site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

_LOCKED = (
    "import fcntl, runpy; held = open('data/lock', 'w'); fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB); "
    "runpy.run_path('app.py', run_name='__main__')"
)
_STRATEGY = '[switch]\nstrategy = "stop-first"\n'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    command = f'{sys.executable} -S -E -c "{_LOCKED}"'
    with open_site(tmp_path, run=f"command = '''{command}'''", extra=_STRATEGY) as opened:
        yield opened


class Visitor:
    """One that comes again and again, and remembers when it came for nothing."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit)
        self.failed_at: list[float] = []

    def _visit(self) -> None:
        while not self._over.wait(0.005):
            began_s = time.monotonic()
            try:
                status, _ = self._site.visit()
            except (OSError, IndexError):
                status = 0
            if status != 200:
                self.failed_at.append(began_s)

    def __enter__(self) -> "Visitor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def down_s(self) -> float:
        return self.failed_at[-1] - self.failed_at[0] if self.failed_at else 0.0


def test_the_one_that_is_live_ends_first_and_the_downtime_is_told(site: Site) -> None:
    """The lock is free when the candidate starts; nobody came for nothing for longer than what is told. A
    rollback does the same the other way."""
    assert "would have to start again: the site is down meanwhile" in site.celadon("plan").output
    with Visitor(site) as visitor:
        site.write_version("v2")
        done = site.celadon("deploy", "--json")
    assert done.code == 0, done.output
    assert site.visit() == (200, "v2")
    assert site.running_slots() == ["green"]
    [again] = done.events("served_again")
    [ended] = done.events("operation_ended")
    assert ended["down_s"] == again["down_s"]
    assert 0 < visitor.down_s < again["down_s"]
    back = site.celadon("rollback")
    assert back.code == 0, back.output
    assert "v1" in site.visit()
    assert "Down:    " in back.output


def test_a_candidate_that_fails_gives_the_place_back(site: Site) -> None:
    """Before it had visitors and after: the old release starts again and serves, and the message says for how long
    nobody did."""
    for broken, code in (("health", 10), ("dies", 11)):
        if broken == "dies":
            site.config.write_text(site.config.read_text().replace('window = "400ms"', 'window = "10s"'))
        done = site.deploy("v2", broken=broken)
        assert done.code == code, done.output
        assert "is stopped first: visitors get errors from here on" in done.output
        assert "r1 in blue answers through the proxy: the site was down for" in done.output
        assert "Down:    " in done.output
        assert site.visit() == (200, "v1")
        assert site.running_slots() == ["blue"]
