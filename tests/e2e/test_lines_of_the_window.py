"""Each request of an open window is one line and counts once, whatever is done to the log and whatever a visitor sends:
what the verdict counts is what the clients counted."""

import base64
import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from celadon.drivers.proxies.headers import OURS
from tests.e2e.crowd import visitors
from tests.e2e.judged import await_count, deploy, judge, observing, open_site_by_evidence, settle, verdict_of
from tests.e2e.site import Done, Site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

_PATH = "/search"
_OF_A_PATH = "\"{}[]:,/=&?!$'()*+;@-._~|^`\\<>"


@pytest.fixture(scope="module", params=["nginx", "caddy", "haproxy"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site_by_evidence(tmp_path_factory.mktemp(request.param), proxy=request.param) as opened:
        yield opened


@pytest.fixture(autouse=True)
def settled(site: Site) -> Iterator[None]:
    yield
    settle(site)


def deploy_to_the_end(site: Site, *, in_the_window: Callable[[], None]) -> Done:
    """Everybody who comes in the window has gone before it ends."""
    with observing(site, window="6s", min_window="6s", max_window="6s"):
        return deploy(site, in_the_window=in_the_window)


def test_a_log_that_is_rotated_in_the_window_loses_no_line_and_none_counts_twice(site: Site) -> None:
    """By the real logrotate, which loses what was written between its copy and its truncation; HAProxy has no file,
    its ring is new after a reload."""
    counts: Counter[int] = Counter()

    def come() -> None:
        with visitors(site, paths=(_PATH,)) as coming:
            for rotate in (rotate_by_copy, rotate_by_rename):
                await_count(coming, coming[200] + 60)
                rotate(site)
            await_count(coming, coming[200] + 60)
        counts.update(coming)

    done = deploy_to_the_end(site, in_the_window=come)
    assert judge(done)[:2] == (0, "healthy"), done.output
    assert set(counts) == {200}
    counted = verdict_of(done)["evidence"]["requests_count"]
    written = counts.total() if site.proxy == "haproxy" else count_lines(site)
    assert counts.total() - 5 <= written <= counted <= counts.total()


def count_lines(site: Site) -> int:
    return sum(path.read_text().count(f'"{_PATH}"') for path in list_logs(site))


def list_logs(site: Site) -> list[Path]:
    log = site.layout.access_log
    return [*log.parent.glob(f"{log.name}*")]


def rotate_by_copy(site: Site) -> None:
    if site.proxy == "haproxy":
        reload_haproxy(site)
    else:
        run_logrotate(site, "copytruncate")


def rotate_by_rename(site: Site) -> None:
    """Caddy cannot be told to open its log again, and rolls it itself."""
    if site.proxy == "nginx":
        run_logrotate(site, f"create\n postrotate\n kill -USR1 {site.proxy_pid}\n endscript")
    else:
        rotate_by_copy(site)


def run_logrotate(site: Site, how: str) -> None:
    config = site.base / "rotate.conf"
    config.write_text(f"{site.layout.access_log} {{\n su root root\n rotate 4\n nocompress\n {how}\n}}\n")
    config.chmod(0o644)
    subprocess.run(["logrotate", "-f", "-s", str(site.base / "rotate.state"), str(config)], check=True)


def reload_haproxy(site: Site) -> None:
    """Done when a process with a new ring answers on the runtime socket."""
    before = ask_haproxy(site, "show info")
    os.kill(site.proxy_pid, signal.SIGUSR2)
    until = time.monotonic() + 10
    while find_pid(ask_haproxy(site, "show info")) == find_pid(before):
        assert time.monotonic() < until
        time.sleep(0.02)


def find_pid(info: str) -> str:
    return info.partition("\nPid: ")[2].partition("\n")[0]


def ask_haproxy(site: Site, words: str) -> str:
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(f"{site.state}/a.sock")
        stream.sendall(f"{words}\n".encode())
        return b"".join(iter(lambda: stream.recv(65536), b"")).decode()


def test_forged_lines_change_nothing_in_the_verdict(site: Site) -> None:
    """Whole lines of the proxy's own, with another outcome, in path, User-Agent, Referer, user and in our headers."""
    assert site.visit()[0] == 200
    line = last_line(site)
    forged = f'x" {line}"}} {line}'.replace("200", "500")
    path = f"/search?%0a{quote(forged, safe=_OF_A_PATH)}"
    headers = {"User-Agent": forged, "Referer": forged, "Cookie": f"a={forged}", "X-Forwarded-For": "127.9.9.9"}
    headers |= {"Authorization": f"Basic {base64.b64encode(forged.encode()).decode()}"} | dict.fromkeys(OURS, "forged")
    counts: Counter[int] = Counter()

    def come() -> None:
        with visitors(site, paths=(_PATH, path), headers=headers) as coming:
            await_count(coming, 150)
        counts.update(coming)

    done = deploy_to_the_end(site, in_the_window=come)
    assert judge(done) == (0, "healthy", "evidence"), done.output
    assert set(counts) == {200}
    told = verdict_of(done)["evidence"]
    assert (told["requests_count"], told["failed_count"], told["client_errors_count"]) == (counts.total(), 0, 0)
    assert told["stands_on"] == "log"


def last_line(site: Site) -> str:
    """Of those that tell of a good answer."""
    logs = [path.read_text() for path in list_logs(site)]
    lines = "\n".join(logs) if logs else ask_haproxy(site, "show events celadon_shop")
    return [line for line in lines.splitlines() if " 200 " in line or re.search(r'"status":"?200', line)][-1]
