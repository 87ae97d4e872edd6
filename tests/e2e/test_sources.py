"""The access log of a real proxy is taken away in the window: the verdict says on what it stands instead."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.drivers.proxies.haproxy_process import HaproxyProcess
from tests.e2e.crowd import visitors
from tests.e2e.site import Done, Site, open_site
from tests.e2e.site_proxies import HAPROXY

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(HAPROXY).exists(), reason="haproxy is not installed")]

_LOG_LINE = "    log ring@celadon_shop local0\n"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """v1 is live behind HAProxy; windows are long enough to lose a log in."""
    with open_site(tmp_path, proxy="haproxy") as site:
        config = site.config.read_text().replace('window = "400ms"', 'window = "8s"')
        site.config.write_text(config.replace("listen =", 'look_path = "/health"\nlisten ='))
        yield site


def lose_log(site: Site) -> None:
    """The frontend's owner edits it and reloads: what takes connections from then on does not log."""
    haproxy = HaproxyProcess(str(site.state / "a.sock"))
    old = haproxy.read_worker_pid()
    written = site.main.read_text()
    assert _LOG_LINE in written
    site.main.write_text(written.replace(_LOG_LINE, ""))
    os.kill(site.proxy_pid, signal.SIGUSR2)
    until = time.monotonic() + 20
    while haproxy.read_worker_pid() in {old, None} or haproxy.takes_new(old or 0, site.port):
        assert time.monotonic() < until
        time.sleep(0.01)


def deploy(site: Site, *, broken: str = "") -> Done:
    """Visitors come only after the log has gone: nothing but the counters has them."""
    site.write_version("v2", broken=broken)
    process = site.start_celadon("deploy", "--json")
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if '"window_opened"' in line:
            break
    lose_log(site)
    with visitors(site):
        rest, _ = process.communicate(timeout=60)
    return Done(process.returncode, "".join([*lines, rest]))


def test_a_log_that_is_lost_in_the_window_leaves_haproxys_own_counters(site: Site) -> None:
    """They bless, and say that it was they."""
    done = deploy(site)
    assert done.code == 0, done.output
    [verdict], [lost] = done.events("verdict_reached"), done.events("source_lost")
    assert (lost["lost"], lost["stands_on"]) == ("log", "counters")
    assert verdict["evidence"]["stands_on"] == "counters"
    assert verdict["evidence"]["requests_count"] > 100
    assert "by the proxy's own counters only" in verdict["reason"]


def test_a_release_that_fails_is_taken_back_on_what_haproxy_counted(site: Site) -> None:
    """One page in three; probes see none of it."""
    done = deploy(site, broken="errors")
    assert done.code == 11, done.output
    [verdict] = done.events("verdict_reached")
    assert (verdict["rule"], verdict["evidence"]["stands_on"]) == ("max_error_rate", "counters")
    assert site.visit() == (200, "v1")
