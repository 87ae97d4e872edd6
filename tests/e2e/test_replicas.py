"""Several replicas of the web process, with the real proxy, real processes and the `celadon` command."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.app.inforce import require_in_force
from celadon.host.checkpoint import ARMED_BY
from celadon.host.sockets import KernelSockets
from celadon.model.address import Address
from celadon.model.names import Slot
from tests.e2e.site import Site, end_unharmed, open_site
from tests.e2e.site_proxies import NGINX
from tests.e2e.test_deploy import await_event

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]

SECOND = '[ "$CELADON_PROCESS" = web ] || export SHOP_BROKEN="$(cat SECOND)"'
RUN = f"command = '{SECOND}; exec {sys.executable} -S app.py'"
"""The file SECOND says what is wrong with the second replica alone."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path, run=RUN, replicas=2) as opened:
        yield opened


def deploy(site: Site, version: str, *, second: str = "") -> "tuple[int, str]":
    (site.app / "SECOND").write_text(second)
    done = site.deploy(version)
    return done.code, done.output


def addresses(site: Site, slot: Slot) -> tuple[Address, ...]:
    return require_in_force(site.layout).web.addresses(slot)


def asked(site: Site) -> set[str]:
    """Addresses that nginx was answered from, as its own log has them."""
    lines = site.layout.access_log.read_text().splitlines()
    return {json.loads(line)["upstream"] for line in lines}


def lengthen_window(site: Site) -> None:
    site.config.write_text(site.config.read_text().replace('window = "400ms"', 'window = "20s"'))


def pid_at(address: Address) -> int:
    return next(iter(KernelSockets().listening_pids(address) or ()))


@pytest.mark.parametrize("proxy", ["nginx", "caddy", "traefik"])
def test_a_deploy_and_a_rollback_with_two_replicas_lose_nothing(tmp_path: Path, proxy: str) -> None:
    """Under load: no failed request, no lost order, each replica of both slots had its part, and none is left over."""
    with open_site(tmp_path, proxy=proxy, replicas=2) as site:
        load = site.start_load()
        assert site.deploy("v2").code == 0
        assert site.running_slots() == ["green"]
        back = site.celadon("rollback")
        assert back.code == 0, back.output
        assert site.visit() == (200, "v1")
        tally = end_unharmed(site, load)
        assert tally.requests > 200
        both = {str(address) for slot in Slot for address in addresses(site, slot)}
        assert proxy != "nginx" or asked(site) >= both
        assert all(KernelSockets().listening_pids(address) == frozenset() for address in addresses(site, Slot.GREEN))


def test_a_release_of_which_one_replica_is_never_ready_is_rejected(site: Site) -> None:
    """Ready is when all are; the one that is not is named by its address, and by its log."""
    site.config.write_text(site.config.read_text().replace('deadline = "5s"', 'deadline = "1s"'))
    code, output = deploy(site, "v2", second="health")
    assert code == 10, output
    assert f"{addresses(site, Slot.GREEN)[1]}: status 503" in output
    assert (site.visit(), site.running_slots()) == ((200, "v1"), ["blue"])


def test_a_release_of_which_one_replica_ends_is_rejected(site: Site) -> None:
    """At once, with the replica's name."""
    code, output = deploy(site, "v2", second="exit")
    assert code == 10, output
    assert "its process ended with code" in output
    assert "web.2" in output
    assert (site.visit(), site.running_slots()) == ((200, "v1"), ["blue"])


def test_a_replica_that_is_killed_in_the_window_brings_the_old_release_back(site: Site) -> None:
    """Though the other one answers all visitors meanwhile: none of them sees it."""
    lengthen_window(site)
    site.write_version("v2")
    load = site.start_load(posts=0)
    deploying = site.start_celadon("deploy", "--json")
    await_event(deploying, "window_opened")
    os.kill(pid_at(addresses(site, Slot.GREEN)[1]), signal.SIGKILL)
    output = deploying.communicate(timeout=60)[0]
    tally = load.stop()
    assert deploying.returncode == 11, output
    assert "web.2" in output
    assert (site.visit(), site.running_slots()) == ((200, "v1"), ["blue"])
    assert tally.failed == 0, dict(tally.faults)


def test_an_old_slot_that_lost_a_replica_is_gone_back_to_and_completed(site: Site) -> None:
    """One that answers is enough for the way back; the other one begins again when the route is there."""
    lengthen_window(site)
    site.write_version("v2")
    deploying = site.start_celadon("deploy", "--json")
    await_event(deploying, "window_opened")
    os.kill(pid_at(addresses(site, Slot.BLUE)[1]), signal.SIGKILL)
    os.kill(pid_at(addresses(site, Slot.GREEN)[0]), signal.SIGKILL)
    output = deploying.communicate(timeout=60)[0]
    assert deploying.returncode == 11, output
    assert "live_slot_completed" in output
    until = time.monotonic() + 10
    while not KernelSockets().listening_pids(addresses(site, Slot.BLUE)[1]):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert site.visit() == (200, "v1")


def test_a_recovery_completes_what_is_live_and_clears_what_was_begun(site: Site) -> None:
    """A live replica that nobody starts again, and a death between a candidate's first replica and its second."""
    os.kill(pid_at(addresses(site, Slot.BLUE)[1]), signal.SIGKILL)
    recovered = site.celadon("recover")
    assert recovered.code == 14, recovered.output
    assert pid_at(addresses(site, Slot.BLUE)[1])
    died = site.deploy("v2", env={ARMED_BY: "start_issued:kill"})
    assert died.code == 14, died.output
    assert (site.visit(), site.running_slots()) == ((200, "v1"), ["blue"])
    assert all(KernelSockets().listening_pids(address) == frozenset() for address in addresses(site, Slot.GREEN))


def test_the_number_of_replicas_changes_without_a_failed_request(site: Site) -> None:
    """Down to one and up again: what is live keeps its addresses until it is left, and a restart keeps its number."""
    load = site.start_load()
    config = site.config.read_text()
    site.config.write_text(config.replace("replicas = 2", "replicas = 1"))
    assert deploy(site, "v2")[0] == 0
    assert (len(addresses(site, Slot.GREEN)), len(addresses(site, Slot.BLUE))) == (1, 2)
    again = site.celadon("restart")
    assert again.code == 0, again.output
    assert (site.running_slots(), len(addresses(site, Slot.BLUE))) == (["blue"], 1)
    site.config.write_text(config)
    assert deploy(site, "v3")[0] == 0
    back = site.celadon("rollback")
    assert back.code == 0, back.output
    assert (site.visit(), len(addresses(site, Slot.BLUE))) == ((200, "v2"), 2)
    tally = load.stop()
    assert tally.failed == 0, dict(tally.faults)
    shown = site.status()["slots"][0]
    assert shown["processes"]["web.2"]["status"] == "running"


def test_replicas_may_listen_on_sockets(tmp_path: Path) -> None:
    """One each, and each has its part."""
    with open_site(tmp_path, replicas=2, sockets=True) as site:
        assert site.deploy("v2").code == 0
        assert [site.visit() for _ in range(4)] == [(200, "v2")] * 4
        assert asked(site) >= {str(address) for address in addresses(site, Slot.GREEN)}
        assert site.celadon("logs", "--process", "web.2").code == 0
