"""A Compose project behind a real nginx, deployed by the `celadon` command: its database is there once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.model.names import Slot
from tests.contract.container_engines import Dockerd, needs_compose, open_compose, run_engine
from tests.e2e.canary import OF_COMMAND, find_carriers, find_told, watched_command_lines
from tests.e2e.container_site import make_compose_site
from tests.e2e.site import Site, end_unharmed, go_live
from tests.e2e.site_proxies import NGINX

pytestmark = [
    pytest.mark.root,
    needs_compose,
    pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed"),
]
DATABASE = "celadon-shop_shared_db_1"


@pytest.fixture(scope="module")
def docker() -> Iterator[Dockerd]:
    with open_compose() as daemon:
        yield daemon


@pytest.fixture
def site(docker: Dockerd, tmp_path: Path) -> Iterator[Site]:
    with go_live(make_compose_site(tmp_path)) as opened:
        yield opened
    run_engine("docker", "rm", "--force", DATABASE)


def containers() -> list[str]:
    return sorted(run_engine("docker", "ps", "--all", "--format={{.Names}}").split())


def begun() -> str:
    return run_engine("docker", "inspect", "--format={{.Id}} {{.State.StartedAt}}", DATABASE)


def test_a_deploy_and_a_rollback_under_load_lose_nothing_and_leave_the_database_alone(site: Site) -> None:
    """v1 to v2 and back: no failed request, no lost order; one database, begun once, on the networks of both slots. The
    owner's file is as it was, its port is nobody's, and a secret is in no command line and only in files of 0600. A
    database that is to be another one by the way is refused."""
    project = site.app / "compose.yaml"
    written, database = project.read_bytes(), begun()
    (site.base / "env").write_text(f"TOKEN={OF_COMMAND}\n")
    site.config.write_text(site.config.read_text().replace("[web]", f'[web]\nenv_file = "{site.base}/env"', 1))
    load = site.start_load(think_ms=30.0)
    with watched_command_lines() as command_lines:
        second = site.deploy("v2")
    assert second.code == 0, second.output
    assert not find_told([second.output, *map(repr, command_lines)])
    holders = [site.layout.release(2), site.layout.slot(Slot.GREEN)]
    assert find_carriers([site.state]) == {path / name: 0o600 for path in holders for name in ("env", "compose.json")}
    assert site.visit() == (200, "v2")
    assert containers() == ["celadon-shop-green", DATABASE]
    back = site.celadon("rollback")
    assert back.code == 0, back.output
    assert site.visit() == (200, "v1")
    project.write_bytes(written.replace(b'5432"]', b'5433"]'))
    smuggled = site.deploy("v3")
    assert smuggled.code == 10, smuggled.output
    assert f"docker rm --force {DATABASE}" in smuggled.output
    tally = end_unharmed(site, load)
    assert tally.requests > 200
    assert containers() == ["celadon-shop-blue", DATABASE]
    assert begun() == database
    assert (site.layout.release(1) / "tree" / "compose.yaml").read_bytes() == written
    networks = run_engine("docker", "network", "ls", "--filter=label=celadon.app", "--format={{.Name}}").split()
    assert sorted(networks) == ["celadon-shop-blue", "celadon-shop-green"]
