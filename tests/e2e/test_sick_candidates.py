"""A sick release on each runner: whatever is wrong with it, the old one serves, nothing of the sick one is left, and
the next deploy works."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e import sick_app
from tests.e2e.servers import SERVERS, Server, Settings
from tests.e2e.site import REPOSITORY
from tests.e2e.site_proxies import NGINX

_NEEDS = {
    "process": NGINX,
    "systemd": "systemd-nspawn",
    "docker": "dockerd",
    "podman": "podman",
    "compose": "docker-compose",
}
_SETTINGS = Settings(
    files={
        "app.py": Path(sick_app.__file__).read_text(),
        "shop.py": (REPOSITORY / "examples/shop/app.py").read_text(),
    },
    changed={"deadline": '"3s"', "stop_timeout": '"500ms"', "max_latency": '"500ms"'},
)
_VARIES = {"releases", "images, those between too", "files in the slots", "dockerd's descriptors"}
"""From deploy to deploy; over fifty they are the same, as `./run bench jobs` shows."""

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}"))
        for name, program in _NEEDS.items()
    ],
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param), _SETTINGS) as opened:
        for version in ("v0", "v1"):  # so that both slots have been in use
            done = opened.deploy(version)
            assert done.code == 0, done.output
        yield opened


def count(server: Server) -> Mapping[str, int]:
    return {name: number for name, number in server.count_what_is_there().items() if name not in _VARIES}


@pytest.mark.parametrize(
    ("sickness", "said"),
    [
        ("exit", "code 3"),
        ("silent", "not ready within"),
        ("mute", "no answer"),
        ("memory", "MemoryError"),
        ("thief", ""),
    ],
)
def test_it_is_rejected_and_leaves_nothing(server: Server, sickness: str, said: str) -> None:
    """It exits at once, never listens, accepts and never answers, has no memory left, or listens where the
    live release does."""
    (server.data / "other_port").write_text(live_port(server))
    before = count(server)
    done = server.deploy("v2", broken=sickness)
    assert done.code == 10, done.output
    assert said in done.output
    assert server.version_served() == "v1"
    assert count(server) == before


def live_port(server: Server) -> str:
    slots = json.loads(server.celadon("status", "--json").output)["slots"]
    [address] = [slot["address"] for slot in slots if slot["view"]["status"] == "running"]
    return str(address).rpartition(":")[2]


def test_one_that_daemonises_away_is_ended_with_its_slot(server: Server) -> None:
    """Plain processes are found by what they were started with, wherever they are; elsewhere the release has ended with
    its main process."""
    before = count(server)
    done = server.deploy("v2", broken="daemon")
    assert done.code in {0, 10}, done.output
    assert server.version_served() == ("v1" if done.code else "v2")
    assert server.deploy("v1").code == 0
    assert count(server) == before


def test_one_that_flaps_is_not_blessed(server: Server) -> None:
    """Whether it is caught before the switch or after it: it is up for a sixth of a second each time."""
    before = count(server)
    done = server.deploy("v2", broken="flaps")
    assert done.code in {10, 11}, done.output
    assert server.version_served() == "v1"
    assert count(server) == before


def test_one_that_dies_after_the_bless_is_taken_back_by_a_person(server: Server) -> None:
    before = count(server)
    assert server.deploy("v2", broken="mortal").code == 0
    (server.data / "die").touch()
    await_dead(server)
    done = server.celadon("rollback")
    (server.data / "die").unlink()
    assert done.code == 0, done.output
    assert server.version_served() == "v1"
    assert count(server) == before


def await_dead(server: Server) -> None:
    until = time.monotonic() + 20
    while server.version_served() == "v2" and time.monotonic() < until:
        time.sleep(0.02)


def test_one_that_ignores_sigterm_is_ended_all_the_same(server: Server) -> None:
    """By the next deploy, which is the one that works."""
    assert server.deploy("v2", broken="stubborn").code == 0
    before = count(server)
    done = server.deploy("v3")
    assert done.code == 0, done.output
    assert server.version_served() == "v3"
    assert count(server) == before
