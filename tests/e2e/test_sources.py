"""The access log of a real proxy is lost when its window opens: the verdict says on what it stands instead."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from celadon.drivers.proxies.haproxy_process import HaproxyProcess
from tests.e2e.crowd import visitors
from tests.e2e.site import Done, Site, free_ports, open_site
from tests.e2e.site_proxies import CADDY, HAPROXY, TRAEFIK

COUNTING = [
    pytest.param(name, marks=pytest.mark.skipif(not Path(path).exists(), reason=f"{name} is not installed"))
    for name, path in (("haproxy", HAPROXY), ("traefik", TRAEFIK), ("caddy", CADDY))
]
pytestmark = pytest.mark.root
_LOG_LINE = "    log ring@celadon_shop local0\n"
OpenSite = Callable[..., Site]


@contextmanager
def counting(base: Path, proxy: str, *, window: str = "8s") -> Iterator[Site]:
    """v1 is live behind a proxy that counts; windows open when the log is lost, and are long enough to miss it."""
    with open_site(base, proxy=proxy) as site:
        config = site.config.read_text().replace('window = "400ms"', f'window = "{window}"\nmax_window = "{window}"')
        proxy_says = 'look_path = "/health"\nseen_timeout = "2s"\nlisten ='
        hooks = f'[hooks]\npost_switch = ["until [ -e {site.base}/lost ]; do sleep 0.02; done"]\n'
        site.config.write_text(config.replace("listen =", proxy_says) + hooks)
        yield site


def turn_on_metrics(site: Site) -> None:
    """HAProxy counts of its own accord."""
    entry = f"entryPoints:\n  counts:\n    address: 127.0.0.1:{free_ports(1)[0]}\n"
    written = site.main.read_text()
    said = {
        "haproxy": written,
        "caddy": written.replace("{\n", "{\n\tmetrics\n", 1),
        "traefik": written.replace("entryPoints:\n", entry) + "metrics:\n  prometheus:\n    entryPoint: counts\n",
    }[site.proxy]
    if said != written:
        site.main.write_text(said)
        site.stop_proxy()
        site.start_proxy()


def lose_log(site: Site) -> None:
    """Whoever follows the path from now on sees nothing of the proxy."""
    if site.proxy == "haproxy":
        _stop_logging(site)
        return
    log = site.conf / "access.log" if site.proxy == "traefik" else site.layout.access_log
    log.unlink()  # somebody tidies up: the proxy writes on into a file without a name
    log.touch()


def _stop_logging(site: Site) -> None:
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
    """The log goes once the switch is seen, which Caddy's looks need it for. Nothing but the counters has a visitor."""
    site.write_version("v2", broken=broken)
    process = site.start_celadon("deploy", "--json")
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if '"switch_seen"' in line:
            break
    lose_log(site)
    (site.base / "lost").touch()
    with visitors(site):
        rest, _ = process.communicate(timeout=60)
    return Done(process.returncode, "".join([*lines, rest]))


@pytest.mark.parametrize("proxy", COUNTING)
def test_a_log_that_is_lost_leaves_the_proxys_own_counters(tmp_path: Path, proxy: str) -> None:
    """They bless, and say that it was they."""
    with counting(tmp_path, proxy) as site:
        turn_on_metrics(site)
        done = deploy(site)
        assert done.code == 0, done.output
        [verdict], [lost] = done.events("verdict_reached"), done.events("source_lost")
        assert (lost["lost"], lost["stands_on"]) == ("log", "counters")
        assert verdict["evidence"]["stands_on"] == "counters"
        assert verdict["evidence"]["requests_count"] > 100
        assert "by the proxy's own counters only" in verdict["reason"]


@pytest.mark.parametrize("proxy", COUNTING)
def test_a_release_that_fails_is_taken_back_on_what_the_proxy_counted(tmp_path: Path, proxy: str) -> None:
    """One page in three; probes see none of it. Who answers through Caddy is told by its log alone, so that with it the
    proof is lost that the route is back: a person is asked to look."""
    with counting(tmp_path, proxy, window="30s") as site:
        turn_on_metrics(site)
        done = deploy(site, broken="errors")
        assert done.code == (20 if proxy == "caddy" else 11), done.output
        [verdict] = done.events("verdict_reached")
        assert (verdict["rule"], verdict["evidence"]["stands_on"]) == ("max_error_rate", "counters")
        assert site.visit() == (200, "v1")


@pytest.mark.parametrize("proxy", [COUNTING[1]])
def test_a_proxy_that_was_not_told_to_count_leaves_probes_alone(tmp_path: Path, proxy: str) -> None:
    """Which bless nothing."""
    with counting(tmp_path, proxy) as site:
        done = deploy(site)
        [verdict], [lost] = done.events("verdict_reached"), done.events("source_lost")
        assert (lost["lost"], lost["stands_on"]) == ("log", "probes")
        assert (verdict["judgement"], verdict["evidence"]["stands_on"]) == ("undecided", "probes")
