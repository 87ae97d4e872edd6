"""The access log of a real proxy is taken away in the window: the verdict says on what it stands instead."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
def counting(base: Path, proxy: str, *, window: str = "10s") -> Iterator[Site]:
    """v1 is live behind a proxy that counts; windows are long enough to lose a log in."""
    with open_site(base, proxy=proxy) as site:
        config = site.config.read_text().replace('window = "400ms"', f'window = "{window}"\nmax_window = "{window}"')
        proxy_says = 'look_path = "/health"\nseen_timeout = "2s"\nlisten ='
        site.config.write_text(config.replace("listen =", proxy_says))
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
    if site.proxy == "haproxy":
        _stop_logging(site)
        return
    _rotate_away(site, site.conf / "access.log" if site.proxy == "traefik" else site.layout.access_log)


def _rotate_away(site: Site, log: Path) -> None:
    """Somebody takes it away and tells the proxy nothing, again and again: a renamed or removed file is read on beside
    its follower until the next one comes."""
    lost = log.stat()
    until = time.monotonic() + 20
    while _readers_of(lost) - {site.proxy_pid}:
        assert time.monotonic() < until
        log.unlink()
        log.touch()
        time.sleep(0.05)


def _readers_of(file: os.stat_result) -> set[int]:
    found = set()
    for open_file in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if os.path.samestat(open_file.stat(), file):
                found.add(int(open_file.parent.parent.name))
    return found


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


@pytest.mark.parametrize("proxy", COUNTING)
def test_a_log_that_is_lost_in_the_window_leaves_the_proxys_own_counters(tmp_path: Path, proxy: str) -> None:
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
