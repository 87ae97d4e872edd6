"""Secrets of a release: where they are, and that they are nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.app.compose import make_runner
from celadon.app.inforce import require_in_force
from celadon.model.names import Slot
from tests.e2e.canary import (
    CANARIES,
    OF_COMMAND,
    OF_FILE,
    find_carriers,
    find_told,
    list_holders,
    read_history,
    watched_command_lines,
)
from tests.e2e.site import Site, open_site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path) as opened:
        yield opened


def give_secrets(site: Site, *, command: str) -> None:
    """A file beside the code, and what a command prints from beyond the app's directory."""
    (site.app / ".env.production").write_text(f"API_KEY='{OF_FILE}\nüß = \"2\"'\n")
    (site.base / "sealed").write_text(f"DATABASE_URL={OF_COMMAND}\n")
    config = site.config.read_text().replace("[readiness]", 'env_file = ".env.production"\n[readiness]', 1)
    site.config.write_text(f'{config}\n[secrets]\ncommand = "{command}"\n')


def test_a_secret_is_with_its_app_and_in_files_of_root_alone(site: Site, tmp_path: Path) -> None:
    """No journal, log, output, command line, repository or other file has the canary, through a deploy, a deploy that
    fails, and a rollback."""
    give_secrets(site, command=f"cat {site.base}/sealed")
    sources = {site.app / ".env.production", site.base / "sealed"}
    with watched_command_lines() as command_lines:
        outputs = [site.deploy("v2").output]
        site.config.write_text(site.config.read_text().replace("/sealed", "/sealed; cat /nonexistent"))
        failed = site.celadon("deploy", "--json")
        assert failed.code == 10, failed.output
        assert "secrets.command exited with 1: cat: /nonexistent: No such file" in failed.output
        site.config.write_text(site.config.read_text().replace("; cat /nonexistent", ""))
        config = site.config.read_text()
        site.config.write_text(config + '[build]\nsteps = ["echo key $API_KEY; exit 3"]\n')
        outputs.append(site.celadon("deploy").output)
        assert "    | key ***" in outputs[-1]
        site.config.write_text(config)
        site.write_version("v4", broken="health")
        outputs += [failed.output, site.celadon("deploy").output]
        words = ("config", "plan", "status", "history", "why", "logs", "releases", "check", "proxy diff")
        outputs += [site.celadon(*word.split()).output for word in words]
        outputs += [site.celadon(word, "--json").output for word in ("history", "why")]
    live = require_in_force(site.layout)
    app = set(make_runner(site.layout, live).observe(Slot.GREEN).pids)
    assert app
    assert list_holders() == app
    assert len(command_lines) > 10
    assert not find_told([*outputs, *map(repr, command_lines)])
    carriers = find_carriers([tmp_path, site.state])
    own = {site.layout.release(2) / "env", site.layout.slot(Slot.GREEN) / "env"}
    assert set(carriers) - sources == own
    assert {carriers[path] for path in own} == {0o600}
    assert not any(canary in read_history(site.layout.proxy_repository) for canary in CANARIES)
    assert site.celadon("rollback").code == 0
    assert set(find_carriers([tmp_path, site.state])) - sources == {site.layout.release(2) / "env"}
    assert list_holders() == set()


def test_a_rollback_brings_the_old_values_back(site: Site) -> None:
    """Whatever the file and the command say by then: the environment is the release's."""
    give_secrets(site, command=f"cat {site.base}/sealed")
    assert site.deploy("v2").code == 0
    (site.base / "sealed").write_text("DATABASE_URL=other\n")
    assert site.deploy("v3").code == 0
    (site.base / "sealed").unlink()
    assert site.celadon("rollback").code == 0
    assert list_holders() == set(make_runner(site.layout, require_in_force(site.layout)).observe(Slot.GREEN).pids)


def test_a_new_environment_is_a_deploy_without_a_build(site: Site) -> None:
    """Under visitors who lose nothing: the code that is live, other variables; what else celadon.toml says by now is
    told and left alone. A rollback brings the old variables back."""
    site.config.write_text(site.config.read_text() + '[build]\nsteps = ["echo built >> built"]\n')
    give_secrets(site, command=f"cat {site.base}/sealed")
    assert site.deploy("v2").code == 0
    site.write_version("v3")
    (site.base / "sealed").write_text("DATABASE_URL=other\n")
    site.config.write_text(site.config.read_text().replace("echo built", "exit 1; echo built"))
    load = site.start_load()
    done = site.celadon("deploy", "--env-only", "--json")
    assert done.code == 0, done.output
    [compared] = done.events("release_compared")
    assert (compared["files_differ"], compared["env_changed"], compared["live"]) == (False, ["DATABASE_URL"], 2)
    [left] = [found for found in done.events("check_found") if found["subject"] == "celadon.toml"]
    assert left["text"].startswith("build.steps differ from what is live")
    assert site.visit() == (200, "v2")
    assert "r2 with a new environment" in site.celadon("history").output
    back = site.celadon("rollback")
    assert back.code == 0, back.output
    tally = load.stop()
    assert (tally.failed, dict(tally.faults), tally.closed) == (0, {}, 0)
    assert set(tally.versions) == {"v2"}
    assert tally.requests > 100
    assert list_holders() == set(make_runner(site.layout, require_in_force(site.layout)).observe(Slot.GREEN).pids)
    refused = site.celadon("deploy", "v1.0", "--env-only")
    assert refused.code == 2
    assert "takes the code that is live" in refused.output
