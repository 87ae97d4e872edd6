"""An app in containers behind a real nginx, deployed by the `celadon` command: under load, sick, without its daemon."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.host.checkpoint import ARMED_BY
from celadon.host.lock import AppLock
from celadon.model.names import Slot
from tests.contract.container_engines import (
    Dockerd,
    needs_docker,
    needs_podman,
    open_docker,
    open_podman,
    run_engine,
)
from tests.e2e.canary import OF_COMMAND, OF_FILE, find_carriers, find_told, list_holders, watched_command_lines
from tests.e2e.container_site import DOCKERFILE, make_container_site
from tests.e2e.crowd import visitors
from tests.e2e.site import Site, end_unharmed, go_live
from tests.e2e.site_proxies import NGINX

pytestmark = [
    pytest.mark.root,
    needs_docker,
    pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed"),
]


@pytest.fixture(scope="module")
def docker() -> Iterator[Dockerd]:
    with open_docker() as daemon:
        yield daemon


@pytest.fixture
def site(docker: Dockerd, tmp_path: Path) -> Iterator[Site]:
    """With its first release live."""
    with go_live(make_container_site(tmp_path)) as opened:
        yield opened


def containers() -> list[str]:
    return sorted(run_engine("docker", "ps", "--all", "--format={{.Names}}").split())


def test_a_deploy_and_a_rollback_under_load_lose_nothing(site: Site) -> None:
    """v1 to v2 and back, from one container to another: no failed request, no lost order, one container at the end. A
    secret of two lines is the container's and the engine's, and in no command line and no other file."""
    (site.base / "env").write_text(f"API_KEY='{OF_FILE}\nand more'\nTOKEN={OF_COMMAND}\n")
    site.config.write_text(site.config.read_text().replace("[web]", f'[web]\nenv_file = "{site.base}/env"'))
    before = run_engine("docker", "volume", "ls", "--quiet")
    load = site.start_load()
    with watched_command_lines() as command_lines:
        second = site.deploy("v2")
    assert second.code == 0, second.output
    assert not find_told([second.output, *map(repr, command_lines)])
    own = {site.layout.release(2) / "env", site.layout.slot(Slot.GREEN) / "env"}
    assert find_carriers([site.state]) == dict.fromkeys(own, 0o600)
    assert list_holders()
    assert site.visit() == (200, "v2")
    assert containers() == ["celadon-shop-green"]
    back = site.celadon("rollback")
    assert back.code == 0, back.output
    assert site.visit() == (200, "v1")
    tally = end_unharmed(site, load)
    assert tally.requests > 200
    assert containers() == ["celadon-shop-blue"]
    assert run_engine("docker", "volume", "ls", "--quiet") == before
    policy = run_engine("docker", "inspect", "--format={{.HostConfig.RestartPolicy.Name}}", "celadon-shop-blue")
    assert policy.strip() == "always"
    kept = run_engine("docker", "image", "ls", "--format={{.Tag}}", "localhost/celadon").split()
    assert sorted(kept) == ["shop.r1", "shop.r2"]


@needs_podman
def test_podman_on_the_machines_own_network_loses_nothing_either(tmp_path: Path) -> None:
    """The app listens at its slot's address itself; the slot that was left is empty."""
    with open_podman(), go_live(make_container_site(tmp_path, program="podman", network="host")) as site:
        load = site.start_load()
        second = site.deploy("v2")
        assert second.code == 0, second.output
        assert site.visit() == (200, "v2")
        end_unharmed(site, load)
        assert run_engine("podman", "ps", "--all", "--format={{.Names}}").split() == ["celadon-shop-green"]
        assert site.running_slots() == ["green"]


def test_a_sick_candidate_leaves_the_old_release_as_it_was(site: Site) -> None:
    """It exits at once, is never ready, or dies after the switch: told with its code and its last lines, and gone."""
    exits = site.deploy("v2", broken="exit")
    assert exits.code == 10, exits.output
    assert "with code" in exits.output
    unready = site.deploy("v3", broken="health")
    assert unready.code == 10, unready.output
    assert "shop v3 listens" in unready.output
    site.config.write_text(site.config.read_text().replace('window = "400ms"', 'window = "10s"'))
    dies = site.deploy("v4", broken="dies")
    assert dies.code == 11, dies.output
    assert site.visit() == (200, "v1")
    assert containers() == ["celadon-shop-blue"]


def test_a_daemon_that_is_restarted_in_a_deploy_is_waited_for(site: Site, docker: Dockerd) -> None:
    """It is killed just before the candidate is started. What it kept running it restarts; the deploy goes on."""
    site.write_version("v2")
    deploying = site.start_celadon("deploy", "--json", env={ARMED_BY: "before_start:stop"})
    operating = _await_stopped(site)
    docker.kill()
    os.kill(operating, signal.SIGCONT)
    docker.start()
    output, _ = deploying.communicate(timeout=120)
    assert deploying.returncode == 0, output
    assert site.visit() == (200, "v2")
    assert containers() == ["celadon-shop-green"]


def test_a_daemon_that_is_restarted_in_the_window_leaves_one_release_serving(site: Site, docker: Dockerd) -> None:
    """It ends both slots and starts both again: whoever has the traffic then has it alone, and it is said."""
    site.config.write_text(site.config.read_text().replace('window = "400ms"', 'window = "6s"'))
    site.write_version("v2")
    deploying = site.start_celadon("deploy", "--json")
    for line in deploying.stdout or ():
        if "window_opened" in line:
            break
    with visitors(site):
        docker.kill()
        docker.start()
        output, _ = deploying.communicate(timeout=200)
    assert deploying.returncode in {0, 11}, output
    version, slot = ("v2", "green") if deploying.returncode == 0 else ("v1", "blue")
    assert site.visit() == (200, version)
    assert containers() == [f"celadon-shop-{slot}"]
    again = site.deploy("v3")
    assert again.code == 0, again.output


def test_an_image_that_does_not_fit_on_the_disk_is_refused_whole(site: Site, docker: Dockerd) -> None:
    """Rejected with the engine's own words; no image of it is left, and with room again the next deploy works."""
    (site.app / "ballast").write_bytes(os.urandom(64 << 20))
    (site.app / "Dockerfile").write_text(DOCKERFILE + "COPY ballast /ballast\n")
    site.write_version("v2")
    run_engine("docker", "build", "--quiet", "--tag=localhost/sent:v2", str(site.app))
    run_engine("docker", "save", f"--output={site.app / 'image.tar'}", "localhost/sent:v2")
    run_engine("docker", "image", "rm", "localhost/sent:v2")
    (site.app / "ballast").unlink()
    site.config.write_text(site.config.read_text().replace('build = "."', 'archive = "image.tar"'))
    before = sorted(run_engine("docker", "image", "ls", "--all", "--quiet").split())
    filler = docker.base / "filler"
    with filler.open("wb") as stream:
        free = shutil.disk_usage(docker.base).free
        os.posix_fallocate(stream.fileno(), 0, max(free - (24 << 20), 0))
    full = site.deploy("v2")
    filler.unlink()
    assert full.code == 10, full.output
    assert "no space left on device" in full.output
    assert sorted(run_engine("docker", "image", "ls", "--all", "--quiet").split()) == before
    again = site.deploy("v2")
    assert again.code == 0, again.output
    assert not (site.layout.release(3) / "tree" / "image.tar").exists()


def _await_stopped(site: Site) -> int:
    """The operation has stopped itself at its point."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        holder = AppLock(site.layout.lock).holder()
        with contextlib.suppress(OSError):
            if holder and Path(f"/proc/{holder.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                return holder.pid
        time.sleep(0.05)
    raise AssertionError("the operation never reached its point")
