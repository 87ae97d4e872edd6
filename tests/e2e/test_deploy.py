"""The whole way, with the real nginx, real processes and the `celadon` command, as a person would type it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Done, Site, open_site
from tests.e2e.site_proxies import NGINX

STREAM_BYTES = 40 * 1024
"""What the shop's /stream sends, over two seconds."""

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("way", ["pointer", "symlink", "include"])
def test_a_deploy_and_a_rollback_under_load_lose_nothing(tmp_path: Path, way: str) -> None:
    """v1 to v2 and back: no failed request, no lost order, the slot left is empty."""
    with open_site(tmp_path, way=way) as site:
        load = site.start_load()
        assert site.deploy("v2").code == 0
        assert site.visit() == (200, "v2")
        assert site.running_slots() == ["green"]
        back = site.celadon("rollback")
        assert back.code == 0, back.output
        assert site.visit() == (200, "v1")
        tally = load.stop()
        assert (tally.failed, dict(tally.faults)) == (0, {} if way == "pointer" else dict(tally.faults))
        assert way != "pointer" or tally.closed == 0
        assert site.lost_orders(tally) == set()
        assert tally.requests > 200


def test_a_download_of_the_old_release_is_finished_before_its_slot_stops(site: Site) -> None:
    """Counted in the kernel: this app drops what is in flight when it is told to stop."""
    assert site.deploy("v2", broken="abrupt").code == 0
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as download:
        download.sendall(b"GET /stream HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
        received = download.recv(65536)
        site.write_version("v3")
        deploying = site.start_celadon("deploy", "--json")
        received += b"".join(iter(lambda: download.recv(65536), b""))
        output, _ = deploying.communicate(timeout=60)
    assert deploying.returncode == 0
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"X-Version: v2" in head
    assert len(body) == STREAM_BYTES
    stopped = Done(0, output).events("slot_stopped")
    assert [event["cut_count"] for event in stopped] == [0]


def test_a_websocket_that_outlasts_the_drain_is_cut_and_told(tmp_path: Path) -> None:
    """As a number, in the record and in the words."""
    with open_site(tmp_path) as site:
        config = site.app / "celadon.toml"
        config.write_text(config.read_text().replace('timeout = "3s"', 'timeout = "200ms"'))
        with socket.create_connection(("127.0.0.1", site.port), timeout=20) as websocket:
            websocket.sendall(UPGRADE)
            assert b" 101 " in websocket.recv(65536)
            done = site.deploy("v2")
        assert done.code == 0, done.output
        assert "; 1 connection cut" in done.output


def test_a_reload_of_caddy_keeps_websockets_until_the_old_slot_stops(tmp_path: Path) -> None:
    """Caddy by itself closes them all at once."""
    with open_site(tmp_path, proxy="caddy", way="reload") as site:
        config = site.app / "celadon.toml"
        config.write_text(config.read_text().replace("[observe]", '[observe]\nbless = "manual"'))
        with socket.create_connection(("127.0.0.1", site.port), timeout=20) as websocket:
            websocket.sendall(UPGRADE)
            assert b" 101 " in websocket.recv(65536)
            assert site.deploy("v2").code == 20
            assert site.visit() == (200, "v2")
            websocket.sendall(b"\x81\x82\0\0\0\0hi")
            assert websocket.recv(65536) == b"\x81\x02hi"


def test_socket_slots_are_switched_too(tmp_path: Path) -> None:
    """Slots that listen on Unix sockets, through the same pointer."""
    with open_site(tmp_path, sockets=True) as site:
        load = site.start_load()
        assert site.deploy("v2").code == 0
        tally = load.stop()
        assert (tally.failed, tally.closed) == (0, 0)
        assert site.visit() == (200, "v2")


def test_an_unready_release_is_rejected_with_its_reasons(site: Site) -> None:
    """Exit 10; the message names the probe, the answer, the app's last lines, traffic and the next command."""
    done = site.deploy("v2", broken="health")
    assert done.code == 10
    for part in (
        "GET /health",
        "status 503",
        "it answered: the shop is closed",
        "shop v2 listens",
        "Traffic: blue, r1",
        "Next:",
        "celadon logs",
    ):
        assert part in done.output, done.output
    assert site.visit() == (200, "v1")
    assert site.running_slots() == ["blue"]


JOURNEY = """
[[journeys]]
name = "look"
[[journeys.steps]]
method = "POST"
path = "/orders"
body = "{run}"
expect = { status = [201] }
[[journeys.steps]]
path = "/orders"
expect = { body_contains = ["{run}"] }
[[journeys.steps]]
path = "/"
expect = { body_contains = ["Shop v1"] }
"""


def test_a_release_that_is_ready_but_fails_its_journey_is_rejected(tmp_path: Path) -> None:
    """Exit 10; the message names journey, step, what was expected and the next command; no visitor saw the release."""
    with open_site(tmp_path, extra=JOURNEY) as site:
        load = site.start_load()
        done = site.deploy("v2")
        tally = load.stop()
        assert done.code == 10, done.output
        for part in (
            "green is ready",
            "step 3, GET /: status 200, but the body does not contain 'Shop v1'",
            "<h1>Shop v2</h1>",
            "Traffic: blue, r1",
            "celadon logs --slot green",
        ):
            assert part in done.output, done.output
        assert (tally.failed, site.visit(), site.running_slots()) == (0, (200, "v1"), ["blue"])


def test_a_release_that_fails_under_traffic_is_rolled_back(site: Site) -> None:
    """Exit 11; the log's 5xx share decides, and the old release has the traffic again."""
    load = site.start_load()
    done = site.deploy("v2", broken="errors")
    load.stop()
    assert done.code == 11, done.output
    assert "max_error_rate" in done.output
    assert site.visit() == (200, "v1")
    assert site.running_slots() == ["blue"]


def test_a_killed_candidate_in_the_window_is_noticed(tmp_path: Path) -> None:
    """The process dies after the switch: the route goes back within the detection bound."""
    with open_site(tmp_path, extra="") as site:
        config = site.app / "celadon.toml"
        config.write_text(config.read_text().replace('window = "400ms"', 'window = "20s"'))
        site.write_version("v2")
        deploying = site.start_celadon("deploy", "--json")
        pid = await_event(deploying, "candidate_started")["pid"]
        await_event(deploying, "window_opened")
        os.kill(pid, signal.SIGKILL)
        deploying.communicate(timeout=60)
        assert deploying.returncode == 11
        assert site.visit() == (200, "v1")


def test_abort_in_the_window_brings_the_old_release_back(site: Site) -> None:
    """`celadon abort` from another terminal."""
    lengthen_window(site)
    site.write_version("v2")
    deploying = site.start_celadon("deploy", "--json")
    await_event(deploying, "window_opened")
    assert site.visit() == (200, "v2")
    done = site.celadon("abort", "--lead", "ada")
    deploying.communicate(timeout=60)
    assert (done.code, deploying.returncode) == (11, 11)
    assert "ada asked to abort" in done.output
    assert site.visit() == (200, "v1")


def test_a_rollback_in_the_window_is_done_at_once(site: Site) -> None:
    """The person's own command exits 0, the deploy it ended 11."""
    lengthen_window(site)
    site.write_version("v2")
    deploying = site.start_celadon("deploy", "--json")
    await_event(deploying, "window_opened")
    assert site.celadon("rollback").code == 0
    deploying.communicate(timeout=60)
    assert deploying.returncode == 11
    assert site.visit() == (200, "v1")


@contextlib.contextmanager
def draining_deploy(site: Site) -> Iterator["subprocess.Popen[str]"]:
    """v2 is blessed, and the old slot waits for a WebSocket to end."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as websocket:
        websocket.sendall(UPGRADE)
        assert b" 101 " in websocket.recv(65536)
        site.write_version("v2")
        deploying = site.start_celadon("deploy", "--json")
        await_event(deploying, "blessed")
        yield deploying
        deploying.communicate(timeout=60)


def test_a_rollback_that_comes_after_the_bless_still_goes_back(site: Site) -> None:
    """The deploy ends well, and is then rolled back like any other: 0 only when the old release serves."""
    with draining_deploy(site) as deploying:
        back = site.celadon("rollback")
    assert (back.code, deploying.returncode) == (0, 0), back.output
    assert site.visit() == (200, "v1")


def test_an_abort_that_comes_after_the_bless_says_so(site: Site) -> None:
    """It did not do what it was asked: 13, with the command that does."""
    with draining_deploy(site) as deploying:
        late = site.celadon("abort")
    assert (late.code, deploying.returncode) == (13, 0), late.output
    assert "too late" in late.output
    assert "Next:    celadon rollback" in late.output
    assert site.visit() == (200, "v2")


def test_a_rollback_does_not_end_another(site: Site) -> None:
    """To end its window would bring back the release that it leads away from: the second one is told to wait."""
    assert site.deploy("v2").code == 0
    config = site.layout.settings
    config.write_text(config.read_text().replace('"window_s":0.4', '"window_s":60.0'))
    first = site.start_celadon("rollback", "--json")
    await_event(first, "window_opened")
    second = site.celadon("rollback")
    assert second.code == 12, second.output
    assert site.visit() == (200, "v1")
    assert site.celadon("finalize").code == 0
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert site.visit() == (200, "v1")


def test_finalize_ends_the_window(site: Site) -> None:
    """A person who has seen enough."""
    lengthen_window(site)
    site.write_version("v2")
    deploying = site.start_celadon("deploy", "--json")
    await_event(deploying, "window_opened")
    assert site.celadon("finalize").code == 0
    deploying.communicate(timeout=60)
    assert deploying.returncode == 0
    assert site.running_slots() == ["green"]


def test_ctrl_c_detaches_and_attach_comes_back(site: Site) -> None:
    """The operation outlives its terminal."""
    lengthen_window(site)
    site.write_version("v2")
    deploying = site.start_celadon("deploy", "--json")
    await_event(deploying, "window_opened")
    deploying.send_signal(signal.SIGINT)
    output, _ = deploying.communicate(timeout=20)
    assert deploying.returncode == 130
    assert "celadon attach" in output
    attached = site.start_celadon("attach", "--json")
    await_event(attached, "window_opened")
    assert site.celadon("finalize").code == 0
    attached.communicate(timeout=60)
    assert attached.returncode == 0
    assert site.visit() == (200, "v2")


def test_manual_bless_keeps_the_old_slot_hot(tmp_path: Path) -> None:
    """20 with the next command; a rollback is then the switch alone; a deploy in between is refused."""
    with open_site(tmp_path) as site:
        config = site.app / "celadon.toml"
        config.write_text(config.read_text().replace("[observe]", '[observe]\nbless = "manual"'))
        waiting = site.deploy("v2")
        assert waiting.code == 20, waiting.output
        assert "celadon finalize" in waiting.output
        assert sorted(site.running_slots()) == ["blue", "green"]
        assert site.deploy("v3").code == 13
        assert site.celadon("rollback").code == 0
        assert site.visit() == (200, "v1")
        assert site.running_slots() == ["blue"]
        assert site.deploy("v4").code == 20
        assert site.celadon("finalize").code == 0
        assert site.running_slots() == ["green"]


def test_an_altered_release_is_refused_before_traffic_is_touched(site: Site) -> None:
    """Exit 13, and the path that differs is named."""
    assert site.deploy("v2").code == 0
    (site.layout.release(1) / "tree" / "app.py").write_text("print('other')\n")
    done = site.celadon("rollback")
    assert done.code == 13, done.output
    assert "tree/app.py" in done.output
    assert site.visit() == (200, "v2")


def test_a_broken_configuration_does_not_stand_in_the_way_of_a_rollback(site: Site) -> None:
    """Rollback reads what the deploy wrote."""
    assert site.deploy("v2").code == 0
    config = site.app / "celadon.toml"
    config.write_text(config.read_text() + "\nnonsense = [\n")
    assert site.celadon("deploy").code == 2
    assert site.celadon("rollback").code == 0
    assert site.visit() == (200, "v1")


def test_a_broken_site_of_somebody_else_is_found_before_anything_is_touched(site: Site) -> None:
    """Exit 13 with nginx's own file and line; no release was made."""
    neighbour = site.conf / "celadon" / "neighbour"
    neighbour.mkdir()
    (neighbour / "http.conf").write_text("server {\n    listen 127.0.0.1:1;\n    nonsense on;\n}\n")
    done = site.deploy("v2")
    assert done.code == 13, done.output
    assert f"{neighbour}/http.conf:3" in done.output
    assert not site.layout.release(2).exists()
    assert site.visit() == (200, "v1")


def test_another_program_on_the_slots_port_is_named(site: Site) -> None:
    """The candidate's address is taken: rejected, with the pid that holds it."""
    status = site.status()
    port = int(status["slots"][1]["address"].rpartition(":")[2])
    thief = subprocess.Popen(
        [
            "python3",
            "-c",
            f"import socket,time;s=socket.socket();s.bind(('127.0.0.1',{port}));s.listen();time.sleep(99)",
        ]
    )
    try:
        await_listener(port)
        done = site.deploy("v2")
        assert done.code == 10, done.output
        assert f"pid {thief.pid}" in done.output
        assert site.visit() == (200, "v1")
    finally:
        thief.kill()
        thief.wait()


def test_two_deploys_in_the_same_instant(site: Site) -> None:
    """One does it; the other is told who holds the lock."""
    site.write_version("v2")
    both = [site.start_celadon("deploy") for _ in range(2)]
    outputs = [each.communicate(timeout=60)[0] for each in both]
    codes = sorted(each.returncode for each in both)
    assert codes == [0, 12], outputs
    assert any("holds the lock for a deploy" in output for output in outputs)


def test_a_lost_journal_is_rebuilt_and_a_rollback_still_works(site: Site) -> None:
    """Router, processes and manifests are enough."""
    assert site.deploy("v2").code == 0
    site.layout.journal.write_bytes(b"\0" * 4096)
    done = site.celadon("rollback")
    assert done.code == 0, done.output
    assert site.visit() == (200, "v1")
    assert site.layout.journal.with_name("journal.db.damaged-1").exists()


def test_status_shows_what_is_observed(site: Site) -> None:
    """A process that was ended behind our back is not said to run."""
    status = site.status()
    assert (status["route"]["slot"], status["route"]["seen"]) == ("blue", True)
    os.kill(status["slots"][0]["view"]["pids"][0], signal.SIGKILL)
    until = time.monotonic() + 10
    while site.running_slots() and time.monotonic() < until:
        pass
    assert site.running_slots() == []
    assert site.celadon("recover").code == 14
    assert site.visit() == (200, "v1")


def test_history_and_releases_tell_what_was_done(site: Site) -> None:
    """Who, what, how it ended; which release is live."""
    site.deploy("v2", broken="health")
    lines = [json.loads(line) for line in site.celadon("history", "--json").output.splitlines()]
    assert [(line["kind"], line["outcome"]) for line in lines] == [("deploy", "rejected"), ("deploy", "done")]
    kept = json.loads(site.celadon("releases", "--json").output)
    assert [(each["number"], each["live"], each["blessed"]) for each in kept] == [(2, False, False), (1, True, True)]


def lengthen_window(site: Site) -> None:
    config = site.app / "celadon.toml"
    config.write_text(config.read_text().replace('window = "400ms"', 'window = "60s"'))


def await_event(process: "subprocess.Popen[str]", kind: str) -> dict[str, int]:
    for line in process.stdout or ():
        if line.startswith("{") and json.loads(line)["body"]["event"] == kind:
            body: dict[str, int] = json.loads(line)["body"]
            return body
    raise AssertionError(f"the command ended without {kind}")


def await_listener(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
