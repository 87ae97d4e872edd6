"""A WebSocket that outlives the deploy, behind a real nginx: it goes on, it is told of, and it ends when it is told."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from celadon.host.lock import AppLock
from tests.e2e.site import Site, open_site
from tests.e2e.site_proxies import NGINX
from tests.e2e.test_drain import ABRUPT, PING, read_to_end, websocket

LINGERING = f'idle = "close-after 0s"\nstreams = "linger 1h"\n{ABRUPT}'

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]


def talks(stream: socket.socket) -> bool:
    stream.sendall(PING)
    return bool(stream.recv(65536))


def await_true(question: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not question():
        assert time.monotonic() < until
        time.sleep(0.05)


def watcher_pid(site: Site) -> int | None:
    holder = AppLock(site.layout.keeping).holder()
    return holder.pid if holder is not None else None


def await_watcher(site: Site) -> int:
    await_true(lambda: watcher_pid(site) is not None)
    found = watcher_pid(site)
    assert found is not None
    return found


def test_a_websocket_outlives_the_deploy_and_what_would_end_it_says_so(tmp_path: Path) -> None:
    """The deploy is done at once. `status`, `plan` and the next deploy tell of it; a rollback to its release moves the
    route alone; the deploy that needs its place ends it, counted."""
    with open_site(tmp_path, extra=LINGERING) as site:
        stream = websocket(site)
        assert site.deploy("v2").code == 0
        assert talks(stream)
        await_watcher(site)
        assert site.running_slots() == ["blue", "green"]
        found = site.status()["lingering"]
        assert (found["slot"], found["release"], found["streams_count"], found["is_kept"]) == ("blue", 1, 1, True)
        assert 3500 < found["left_s"] <= 3600
        assert "blue still holds 1 stream of r1 until " in site.celadon("plan").output
        spared = site.celadon("deploy", "--spare-streams")
        assert (spared.code, "blue still holds 1 stream of r1" in spared.output) == (13, True), spared.output

        back = site.celadon("rollback", "--json")
        assert (back.code, site.visit()) == (0, (200, "v1")), back.output
        assert back.events("candidate_starting") == []
        assert talks(stream)
        assert (site.running_slots(), site.status()["lingering"]) == (["blue"], None)

        assert site.deploy("v3").code == 0
        assert talks(stream)
        last = site.celadon("deploy", "--json")
        assert last.code == 0, last.output
        [told] = [found["text"] for found in last.events("check_found") if found["subject"] == "streams"]
        assert told.startswith("blue still holds 1 stream of r1 until ")
        [stopped, _] = last.events("slot_stopped")
        assert (stopped["release"], stopped["cut_count"], stopped["left"]["streams_count"]) == (1, 1, 1)
        read_to_end(stream)


def test_what_lingers_ends_by_itself_with_its_last_stream_and_at_its_limit(tmp_path: Path) -> None:
    """Nobody types a command. A watcher that was killed is replaced by the next operation."""
    with open_site(tmp_path, extra=LINGERING) as site:
        stream = websocket(site)
        assert site.deploy("v2").code == 0
        assert site.running_slots() == ["blue", "green"]
        stream.close()
        await_true(lambda: site.running_slots() == ["green"])
        await_true(lambda: watcher_pid(site) is None)

        site.config.write_text(site.config.read_text().replace("linger 1h", "linger 4s"))
        stream = websocket(site)
        assert site.deploy("v3").code == 0
        os.kill(await_watcher(site), signal.SIGKILL)
        await_true(lambda: watcher_pid(site) is None)
        assert site.celadon("recover").code == 0
        await_watcher(site)
        assert talks(stream)
        await_true(lambda: site.running_slots() == ["blue"])
        read_to_end(stream)
        last = site.celadon("history", "--json").output
    assert '"kind":"retire"' in last
