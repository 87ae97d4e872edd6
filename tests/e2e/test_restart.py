"""`celadon restart` behind a real nginx, with visitors."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site, end_unharmed, open_site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path) as opened:
        yield opened


def find_live(site: Site) -> tuple[str, int, int]:
    """Slot, release and pid of what has the traffic."""
    status = site.status()
    [view] = [slot["view"] for slot in status["slots"] if slot["view"]["slot"] == status["route"]["slot"]]
    return view["slot"], view["release"], view["pids"][0]


def test_visitors_do_not_notice_a_restart(site: Site) -> None:
    """A new process of the same release in the other slot, without what lies in the directory by now; history has it
    as a restart, and a rollback goes to the release before."""
    assert site.deploy("v2").code == 0
    before = find_live(site)
    site.write_version("v3")
    load = site.start_load()
    done = site.celadon("restart", "--json")
    assert done.code == 0, done.output
    after = find_live(site)
    assert (before[:2], after[:2]) == (("green", 2), ("blue", 2))
    assert before[2] != after[2]
    assert site.running_slots() == ["blue"]
    back = site.celadon("rollback")
    assert back.code == 0, back.output
    tally = end_unharmed(site, load)
    assert tally.requests > 100
    assert set(tally.versions) == {"v2", "v1"}
    assert site.visit() == (200, "v1")
    lines = [json.loads(line) for line in site.celadon("history", "--json").output.splitlines()]
    assert [line["kind"] for line in lines] == ["rollback", "restart", "deploy", "deploy"]


def test_what_cannot_be_restarted_serves_on(site: Site) -> None:
    """Its configuration was taken away meanwhile: rejected, as a deploy would be, and the release is as good as before.
    Without a release there is nothing to restart."""
    secret = site.base / "env"
    secret.write_text("MODE=x\n")
    config = site.config.read_text()
    site.config.write_text(config.replace("[readiness]", f'env_file = "{secret}"\n[readiness]', 1))
    assert site.deploy("v2").code == 0
    before = find_live(site)
    secret.unlink()
    tree = site.layout.release(2) / "tree"
    kept = (tree / "VERSION").read_text()
    (tree / "VERSION").write_text("altered\n")
    refused = site.celadon("restart")
    assert refused.code == 10, refused.output
    assert "r2 is not what was built: tree/VERSION" in refused.output
    assert find_live(site) == before
    (tree / "VERSION").write_text(kept)
    done = site.celadon("restart")
    assert done.code == 0, done.output
    assert "MODE" in (site.layout.release(2) / "env").read_text()


def open_window(site: Site, verb: str, *, nth: int = 1) -> "subprocess.Popen[str]":
    """A command that has told of its nth window."""
    process = site.start_celadon(verb, "--json")
    told = (line for line in process.stdout or () if "window_opened" in line)
    assert [next(told) for _ in range(nth)]
    return process


def test_a_rollback_ends_a_restart_and_goes_on_to_the_release_before(site: Site) -> None:
    """Back in the old slot it is the same release, which is not what was asked for."""
    site.config.write_text(site.config.read_text().replace('window = "400ms"', 'window = "60s"'))
    site.write_version("v2")
    with open_window(site, "deploy"):
        assert site.celadon("finalize").code == 0
    with open_window(site, "restart") as restarting:
        with open_window(site, "rollback", nth=2) as going_back:
            assert site.visit() == (200, "v1")
            assert site.celadon("finalize").code == 0
        assert restarting.wait(timeout=60) == 11
        assert going_back.wait(timeout=60) == 0
    assert site.visit() == (200, "v1")


def test_before_the_first_deploy_there_is_nothing_to_restart(tmp_path: Path) -> None:
    """Refused before the first effect."""
    site = Site(tmp_path)
    try:
        done = site.celadon("restart")
        assert done.code == 13, done.output
        assert "never deployed" in done.output
    finally:
        site.close()
