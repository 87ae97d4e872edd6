"""A site that runs already: taken over without a restart, deployed to, given back. Visitors come all the while."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.load.client import Tally

from celadon.host.processes import identify
from celadon.model.names import Slot
from tests.e2e.site import Site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

_CADDY_QUEUED_MAX = 3
_QUEUED = re.compile(r"failed: \S+ (ConnectionResetError|end)$")
PROXIES = ("nginx", "caddy", "haproxy", "traefik")


class RunningSite(Site):
    """The shop runs on what is to be blue's port, started by somebody, behind a proxy as its owner wrote it."""

    def __init__(self, base: Path, *, proxy: str) -> None:
        super().__init__(base, proxy=proxy)
        self.blue = int(re.findall(r"ports = \[(\d+)", self.config.read_text())[0])
        self._proxy.write_plain(self.blue)
        self.own_text = self.own.read_text()
        data = self.layout.shared / "data"
        data.mkdir(parents=True)
        self.write_version("before")
        self.shop = subprocess.Popen(
            [sys.executable, "-S", "-E", "app.py"],
            cwd=self.app,
            env=os.environ | {"PORT": str(self.blue), "SHOP_DATABASE": str(data / "shop.db")},
        )
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.blue), timeout=1).close()
                break
            time.sleep(0.01)
        self.start_proxy()

    def start_proxy(self) -> None:
        """Traefik answers 404 until it has read its directory."""
        super().start_proxy()
        until = time.monotonic() + 20
        while self.visit()[0] != 200 and time.monotonic() < until:
            time.sleep(0.01)

    def answer(self) -> str:
        """One whole answer as a visitor gets it, without the date."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
            whole = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        return re.sub(r"(?i)^date: .*\r\n", "", whole, flags=re.MULTILINE)

    def count_harmed(self, tally: Tally) -> int:
        """Requests that failed, but for the few that a reload of Caddy's itself ends in the kernel's queue, unanswered
        (docs/proxies.md)."""
        ended = [count for fault, count in tally.faults.items() if _QUEUED.match(fault)]
        return tally.failed - (min(sum(ended), _CADDY_QUEUED_MAX) if self.proxy == "caddy" else 0)

    def close(self) -> None:
        self.shop.terminate()
        self.shop.wait(timeout=20)
        super().close()


@pytest.fixture(params=PROXIES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningSite]:
    with contextlib.closing(RunningSite(tmp_path, proxy=request.param)) as made:
        yield made


def test_a_running_site_is_taken_over_and_nobody_notices(site: RunningSite) -> None:
    """No request fails, no process is restarted, every answer is as it was; what runs is r1 in blue."""
    before, running = site.answer(), identify(site.shop.pid)
    load = site.start_load()
    done = site.celadon("adopt", "-y", "--lead", "ada")
    tally = load.stop()
    assert done.code == 0, done.output
    assert "r1 in blue" in done.output
    assert (site.count_harmed(tally), site.lost_orders(tally)) == (0, set()), dict(tally.faults)
    assert identify(site.shop.pid) == running
    assert site.answer() == before
    status = site.status()
    assert (status["route"]["slot"], status["route"]["seen"]) == ("blue", True)
    assert [slot["view"]["release"] for slot in status["slots"]] == [1, None]
    [change] = json.loads(f"[{','.join(site.celadon('proxy', 'log', '--json').output.splitlines())}]")
    assert (change["subject"], change["lead"]) == ("Adopt the site", "ada")


def test_the_change_is_shown_and_nothing_happens_without_a_yes(site: RunningSite) -> None:
    """The diff is the whole of what would be edited."""
    done = site.celadon("adopt")
    assert done.code == 13, done.output
    assert f"--- {site.own}" in done.output
    assert re.search(r"^\+.*celadon", done.output, re.MULTILINE)
    assert site.own.read_text() == site.own_text
    assert "no slot has traffic yet" in site.celadon("status").output


def test_the_first_deploy_retires_what_was_adopted(site: RunningSite) -> None:
    """It serves until the new release has earned its place, then it is ended, whoever had started it."""
    assert site.celadon("adopt", "-y").code == 0
    load = site.start_load()
    done = site.deploy("v2")
    tally = load.stop()
    assert done.code == 0, done.output
    assert (site.count_harmed(tally), site.lost_orders(tally)) == (0, set()), dict(tally.faults)
    assert site.visit() == (200, "v2")
    assert site.running_slots() == ["green"]
    site.shop.wait(timeout=10)
    back = site.celadon("rollback")
    assert back.code == 13
    assert "no unit says how it is started" in back.output


def test_a_bad_first_deploy_comes_back_to_what_was_adopted(site: RunningSite) -> None:
    """The adopted processes are hot like any old slot."""
    assert site.celadon("adopt", "-y").code == 0
    load = site.start_load()
    done = site.deploy("bad", broken="errors")
    load.stop()
    assert done.code == 11, done.output
    assert site.visit() == (200, "before")
    assert site.running_slots() == ["blue"]


def test_a_site_that_was_given_back_serves_on_by_itself(site: RunningSite) -> None:
    """No request fails, the answers stay, the owner's file is what it was, and the proxy restarts with it."""
    assert site.celadon("adopt", "-y").code == 0
    before = site.answer()
    load = site.start_load()
    done = site.celadon("eject", "-y")
    tally = load.stop()
    assert done.code == 0, done.output
    assert (site.count_harmed(tally), site.lost_orders(tally)) == (0, set()), dict(tally.faults)
    assert site.answer() == before
    assert site.own.read_text() == site.own_text
    assert identify(site.shop.pid) is not None
    site.stop_proxy()
    site.start_proxy()
    assert site.answer() == before
    assert site.celadon("eject", "-y").code == 2


def test_a_site_that_was_deployed_to_is_given_back_too(site: RunningSite) -> None:
    """The route is then the live slot's address, and its processes run on."""
    assert site.celadon("adopt", "-y").code == 0
    assert site.deploy("v2").code == 0
    before = site.answer()
    load = site.start_load()
    done = site.celadon("eject", "-y")
    tally = load.stop()
    assert done.code == 0, done.output
    assert (site.count_harmed(tally), site.lost_orders(tally)) == (0, set()), dict(tally.faults)
    assert site.answer() == before
    assert site.visit() == (200, "v2")
    assert "celadon" not in site.own.read_text().replace(str(site.state), "")


def test_an_adoption_whose_address_nobody_serves_is_refused(site: RunningSite) -> None:
    """With what was found, and the site untouched."""
    text = site.config.read_text()
    site.config.write_text(text.replace(str(site.blue), "8123"))
    done = site.celadon("adopt", "-y")
    assert done.code == 13
    assert f"127.0.0.1:{site.blue}" in done.output
    assert site.own.read_text() == site.own_text


def test_a_second_adoption_is_refused(site: RunningSite) -> None:
    """It goes through the route already."""
    assert site.celadon("adopt", "-y").code == 0
    done = site.celadon("adopt", "-y")
    assert done.code == 13
    assert "already" in done.output


def test_init_writes_the_configuration_of_what_runs(site: RunningSite) -> None:
    """One command for a site that nobody has described yet."""
    site.config.unlink()
    where = ["--proxy", site.proxy, "--proxy-config", str(site.main), "--proxy-binary", site._proxy.binary]
    done = subprocess.run(
        [sys.executable, "-m", "celadon.cli.main", "init", "--adopt", "-y", *where, str(site.app)],
        env=site.variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = site.config.read_text()
    assert f"ports = [{site.blue}, " in text
    assert "app.py" in text
    assert site.status()["route"]["slot"] == Slot.BLUE.value


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[RunningSite]:
    with contextlib.closing(RunningSite(tmp_path, proxy="nginx")) as made:
        yield made


def test_an_adoption_that_is_not_seen_leaves_nothing(nginx: RunningSite) -> None:
    """What looks ask for is answered by somebody else: everything is put back, and a second try is a first one."""
    other = "location = /else { return 204; }"
    nginx.own.write_text(nginx.own_text.replace("location / {", f"{other}\n        location / {{"))
    before = nginx.own.read_text()
    text = nginx.config.read_text()
    nginx.config.write_text(text.replace('listen = "', 'look_path = "/else"\nseen_timeout = "1s"\nlisten = "'))
    load = nginx.start_load()
    done = nginx.celadon("adopt", "-y")
    tally = load.stop()
    assert done.code == 10, done.output
    assert (tally.failed, nginx.own.read_text()) == (0, before), dict(tally.faults)
    assert nginx.visit() == (200, "before")
    assert not nginx.layout.settings.exists()
    assert [*nginx.layout.releases.glob("r*")] == []
    nginx.config.write_text(text)
    assert nginx.celadon("adopt", "-y").code == 0


def test_a_place_that_is_not_understood_but_goes_to_the_same_app_refuses(nginx: RunningSite) -> None:
    """It would go on sending to blue when blue is stopped. The reason and the lines to add are told."""
    odd = f"location /odd {{ if ($arg_a) {{ proxy_pass http://127.0.0.1:{nginx.blue}; }} }}"
    nginx.own.write_text(nginx.own_text.replace("location / {", f"{odd}\n        location / {{"))
    before = nginx.own.read_text()
    done = nginx.celadon("adopt", "-y")
    assert done.code == 13, done.output
    assert "by hand" in done.output
    assert nginx.own.read_text() == before
    assert nginx.visit() == (200, "before")
