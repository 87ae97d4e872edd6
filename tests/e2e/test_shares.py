"""A deploy by shares and a preview through the real proxy, with visitors."""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site, open_site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

PROXIES = ("nginx", "caddy", "haproxy", "traefik")
BY_STEPS = '\n[switch]\nsteps = ["5%", "50%", "100%"]\nhold = "700ms"\n'
CLIENTS = [f"127.0.{index // 200 + 1}.{index % 200 + 1}" for index in range(300)]


@pytest.fixture(params=PROXIES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path, proxy=request.param, extra=BY_STEPS) as opened:
        yield opened


def ask(site: Site, client: str, *, headers: str = "") -> str:
    """The version that this client gets."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=5, source_address=(client, 0)) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    found = re.search(r"(?i)X-Version: (\S+)", answer)
    return found.group(1) if found else answer[:40]


@contextlib.contextmanager
def crowd(site: Site) -> Iterator[Counter[str]]:
    """All the clients, one after the other, again and again: how often each status was answered."""
    answers: Counter[str] = Counter()
    done = threading.Event()

    def come() -> None:
        for client in itertools.cycle(CLIENTS):
            if done.is_set():
                return
            with socket.create_connection(("127.0.0.1", site.port), timeout=5, source_address=(client, 0)) as stream:
                stream.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
                answers[stream.recv(65536).split()[1].decode()] += 1

    visitors = [threading.Thread(target=come) for _ in range(2)]
    for visitor in visitors:
        visitor.start()
    yield answers
    done.set()
    for visitor in visitors:
        visitor.join()


def await_split(site: Site, percent: int, running: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and running.poll() is None:
        split = site.status()["route"]["split"]
        if split is not None and split["percent"] == percent:
            return
    raise AssertionError(running.communicate()[0])


def test_a_deploy_by_shares_fails_no_request(site: Site) -> None:
    """Each share is said, the whole follows, and the old slot is retired."""
    load = site.start_load(keepalive=3, oneshot=2, posts=2, websockets=1)
    done = site.deploy("v2", env={})
    tally = load.stop()
    assert done.code == 0, done.output
    assert re.findall(r"(\d+) % of the traffic goes to green", done.output) == ["5", "50"]
    assert (tally.failed, tally.closed, site.lost_orders(tally)) == (0, 0, set()), dict(tally.faults)
    assert site.visit() == (200, "v2")
    assert site.running_slots() == ["green"]


def test_while_a_share_is_held_so_many_clients_get_the_candidate(site: Site) -> None:
    """And status says so; an abort brings all of them back."""
    site.config.write_text(site.config.read_text().replace('hold = "700ms"', 'hold = "60s"'))
    site.write_version("v2")
    running = site.start_celadon("deploy")
    await_split(site, 5, running)
    counted = Counter(ask(site, client) for client in CLIENTS)
    assert set(counted) == {"v1", "v2"}
    assert 3 <= counted["v2"] <= 35
    assert "5 % of it to green" in site.celadon("status").output
    assert site.celadon("abort").code in {0, 11}
    output = running.communicate(timeout=60)[0]
    assert running.returncode == 11, output
    assert {ask(site, client) for client in CLIENTS[:100]} == {"v1"}
    assert site.status()["route"]["split"] is None


def test_a_release_that_fails_with_its_first_share_never_gets_more(site: Site) -> None:
    """Most visitors never see it."""
    with crowd(site) as answers:
        done = site.deploy("bad", broken="errors")
    assert done.code == 11, done.output
    assert "50 % of the traffic" not in done.output
    assert 0 < answers["500"] < answers.total() * 0.05
    assert site.visit() == (200, "v1")


def test_a_death_while_a_share_is_held_is_recovered(site: Site) -> None:
    """The next command ends the share before anything else."""
    site.config.write_text(site.config.read_text().replace('hold = "700ms"', 'hold = "60s"'))
    site.write_version("v2")
    running = site.start_celadon("deploy", "--json")
    await_split(site, 5, running)
    holder = json.loads((site.layout.home / "lock.holder").read_text())
    os.kill(holder["pid"], signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.communicate(timeout=60)
    site.celadon("recover")
    site.config.write_text(site.config.read_text().replace('hold = "60s"', 'hold = "300ms"'))
    assert {ask(site, client) for client in CLIENTS[:100]} == {"v1"}
    assert site.running_slots() == ["blue"]
    assert site.deploy("v3").code == 0


def test_a_preview_shows_the_candidate_while_it_waits(site: Site) -> None:
    """By the header that `celadon preview` prints, before any visitor gets it."""
    text = site.config.read_text().replace("[observe]", 'preview = true\n[observe]\nbless = "manual"')
    site.config.write_text(text.replace(BY_STEPS, '\n[switch]\nsteps = ["100%"]\n'))
    assert site.deploy("v2").code == 20
    access = json.loads(site.celadon("preview", "--json").output)
    assert access["slot"] == "blue"
    assert ask(site, CLIENTS[0]) == "v2"
    assert ask(site, CLIENTS[0], headers=f"{access['header']}\r\n") == "v1"
    assert ask(site, CLIENTS[0], headers=f"Cookie: {access['cookie']}\r\n") == "v1"
    assert ask(site, CLIENTS[0], headers=f"{access['header']}x\r\n") == "v2"


def test_previews_that_are_off_say_how_they_are_switched_on(site: Site) -> None:
    """One line."""
    done = site.celadon("preview")
    assert done.code == 2
    assert "preview = true" in done.output
