"""Who owns the proxy's files: every change has a commit that says who and why, and no edit by hand is ever lost."""

import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celadon.drivers.proxies.nginx_process import NginxProcess
from celadon.host.proxy_changes import having_turn
from celadon.model.plan import OperationKind
from tests.crash.killing import KILLED, arm, operate
from tests.e2e.site import Done, Site, open_site
from tests.e2e.site_proxies import NGINX

EDIT = "proxy_read_timeout 5s;\n"

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_site(tmp_path) as opened:
        yield opened


def route_file(site: Site, name: str = "route.conf") -> Path:
    return site.conf / "celadon" / "shop" / name


def edit(path: Path, line: str = EDIT) -> str:
    """Appended by hand; the text as it is now."""
    path.write_text(path.read_text() + line)
    return path.read_text()


def read_log(site: Site) -> list[dict[str, Any]]:
    done = site.celadon("proxy", "log", "-n", "100", "--json")
    assert done.code == 0, done.output
    return [json.loads(line) for line in done.output.splitlines()]


def git(site: Site, *words: str) -> str:
    """Asked once whoever commits has done so."""
    with having_turn(site.layout):
        pass
    done = subprocess.run(
        ["git", f"--git-dir={site.layout.proxy_repository}", *words], capture_output=True, text=True, check=True
    )
    return done.stdout


def workers(site: Site) -> frozenset[int]:
    """Those that take connections: a reload has others."""
    return NginxProcess(binary=NGINX, config=site.main).read_working()


def change_settings(site: Site, old: str, new: str) -> None:
    config = site.app / "celadon.toml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def test_a_deploy_is_a_commit_with_release_lead_and_reason(site: Site) -> None:
    """The files' install is one, each move of the route is one; the files stand in it as on the disk."""
    assert site.celadon("deploy", "--lead", "grace").code == 0
    assert site.celadon("rollback", "--lead", "ada").code == 0
    told = read_log(site)
    assert [(each["subject"], each["release"]) for each in told] == [
        ("r1 to blue", "r1"),
        ("r2 to green", "r2"),
        ("r1 to blue", "r1"),
        ("Install the route's files", "r1"),
    ]
    assert [each["lead"] for each in told[:2]] == ["ada", "grace"]
    assert told[0]["reason"] == "rollback"
    assert str(site.app) in told[1]["reason"]
    operations = {json.loads(line)["operation"] for line in site.celadon("history", "--json").output.splitlines()}
    assert {each["operation"] for each in told} == operations
    assert git(site, "show", "HEAD:route") == "blue r1\n"
    assert git(site, "show", f"HEAD:{str(route_file(site))[1:]}") == route_file(site).read_text()
    assert git(site, "log", "-1", "--format=%an %cn") == "ada celadon\n"
    shown = site.celadon("proxy", "show", "r2")
    assert "+green r2" in shown.output
    assert "-blue r1" in shown.output
    assert "Lead: grace" in shown.output


def test_a_switch_that_is_taken_back_tells_why(site: Site) -> None:
    """The reason of the return, in the return's commit."""
    load = site.start_load()
    assert site.deploy("v2", broken="errors").code == 11
    load.stop()
    newest, before = read_log(site)[:2]
    assert (newest["subject"], before["subject"]) == ("r1 to blue", "r2 to green")
    assert "5xx" in newest["reason"]


def test_what_the_user_has_set_for_git_is_not_ours(tmp_path: Path) -> None:
    """A global configuration that signs, and hooks that fail, change nothing."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "reference-transaction").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "reference-transaction").chmod(0o755)
    (tmp_path / "gitconfig").write_text(f"[core]\n\thooksPath = {hooks}\n[commit]\n\tgpgSign = true\n")
    env = {"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"), "GIT_DIR": "/nonexistent", "GIT_AUTHOR_NAME": "mallory"}
    with open_site(tmp_path / "site") as site:
        assert site.deploy("v2", env=env).code == 0
        assert [each["subject"] for each in read_log(site)][:1] == ["r2 to green"]
        assert "mallory" not in git(site, "log", "--format=%an %cn")


def test_a_hand_edit_refuses_the_next_deploy_and_is_shown(site: Site) -> None:
    """Exit 13, the diff, both ways on, and the edit untouched; `diff` says the same, and what is only pending."""
    edited = edit(route_file(site))
    done = site.deploy("v2")
    assert done.code == 13, done.output
    for part in (f"-{EDIT}", "celadon proxy accept", "celadon proxy restore", "Traffic: blue, r1"):
        assert part in done.output, done.output
    assert route_file(site).read_text() == edited
    assert site.visit() == (200, "v1")
    shown = site.celadon("proxy", "diff")
    assert (shown.code, f"+{EDIT}" in shown.output) == (13, True), shown.output
    assert "Not yet written" not in shown.output


def test_an_accepted_edit_is_loaded_and_survives_deploys_and_settings(site: Site) -> None:
    """Two deploys, and a change of the settings elsewhere in the same file; `restore` drops it."""
    http = route_file(site, "http.conf")
    edit(http, "# ours since the audit\n")
    edit(route_file(site))
    before = workers(site)
    accepted = site.celadon("proxy", "accept", "--lead", "grace")
    assert accepted.code == 0, accepted.output
    assert not before & workers(site)
    assert site.celadon("proxy", "diff").code == 0
    newest = read_log(site)[0]
    assert (newest["lead"], newest["subject"]) == ("grace", "Accept the edit by hand of http.conf, route.conf")
    for version in ("v2", "v3"):
        done = site.deploy(version)
        assert done.code == 0, done.output
        assert EDIT in route_file(site).read_text()
    blue = site.celadon("status", "--json")
    port = json.loads(blue.output)["slots"][1]["address"].rpartition(":")[2]
    change_settings(site, f"{port}]", f"{int(port) + 701}]")
    assert "Not yet written" in site.celadon("proxy", "diff").output
    done = site.deploy("v4")
    assert done.code == 0, done.output
    assert site.visit() == (200, "v4")
    assert str(int(port) + 701) in http.read_text()
    assert "# ours since the audit\n" in http.read_text()
    assert EDIT in route_file(site).read_text()
    restored = site.celadon("proxy", "restore")
    assert restored.code == 0, restored.output
    assert "# ours" not in http.read_text()
    assert EDIT not in route_file(site).read_text()
    assert site.visit() == (200, "v4")
    assert site.deploy("v5").code == 0


def test_restore_puts_back_what_was_written_and_keeps_the_edit(site: Site) -> None:
    """Loaded by the proxy, recorded, and the edit can be read afterwards."""
    wrote = route_file(site).read_text()
    edit(route_file(site))
    before = workers(site)
    done = site.celadon("proxy", "restore", "route.conf")
    assert done.code == 0, done.output
    assert route_file(site).read_text() == wrote
    assert not before & workers(site)
    assert any(EDIT in path.read_text() for path in site.layout.edited.rglob("route.conf"))
    subjects = [each["subject"] for each in read_log(site)]
    assert any("edit by hand of route.conf" in subject for subject in subjects), subjects
    assert f"+{EDIT}" in git(site, "log", "-p")
    assert site.deploy("v2").code == 0


def test_a_removed_file_is_restored(site: Site) -> None:
    """What celadon wrote stands there again."""
    wrote = route_file(site).read_text()
    route_file(site).unlink()
    assert site.celadon("proxy", "diff").code == 13
    done = site.celadon("proxy", "restore")
    assert done.code == 0, done.output
    assert route_file(site).read_text() == wrote


def test_an_edit_that_the_proxy_refuses_is_not_accepted(site: Site) -> None:
    """In nginx's words, and everything as it was."""
    edited = edit(route_file(site), "proxy_read_tmieout 5s;\n")
    done = site.celadon("proxy", "accept")
    assert done.code == 13, done.output
    assert "proxy_read_tmieout" in done.output
    assert route_file(site).read_text() == edited
    assert not site.layout.accepted.exists()
    assert site.visit() == (200, "v1")
    assert site.celadon("proxy", "restore").code == 0
    assert site.deploy("v2").code == 0


def test_settings_that_clash_with_an_accepted_edit_refuse_the_deploy(site: Site) -> None:
    """File, line, where traffic goes and the next command; nothing was touched."""
    http = route_file(site, "http.conf")
    port = json.loads(site.celadon("status", "--json").output)["slots"][1]["address"].rpartition(":")[2]
    http.write_text(http.read_text().replace(f":{port};", f":{port} max_fails=0;"))
    assert site.celadon("proxy", "accept").code == 0
    wrote = http.read_text()
    change_settings(site, f"{port}]", f"{int(port) + 702}]")
    done = site.deploy("v2")
    assert done.code == 13, done.output
    number = next(n for n, line in enumerate(wrote.splitlines(), start=1) if "max_fails" in line)
    for part in (str(http), f"line {number}", "Traffic: blue, r1", f"celadon proxy restore {http}"):
        assert part in done.output, done.output
    assert http.read_text() == wrote
    for words in (("check",), ("plan",), ("proxy", "diff")):
        assert site.celadon(*words).code == 13
    change_settings(site, f"{int(port) + 702}]", f"{port}]")
    assert site.celadon("proxy", "restore", str(http)).code == 0
    change_settings(site, f"{port}]", f"{int(port) + 702}]")
    assert site.deploy("v2").code == 0


@pytest.mark.parametrize("way", ["pointer", "symlink"])
def test_a_rollback_passes_by_a_hand_edit_and_says_so(tmp_path: Path, way: str) -> None:
    """Traffic first: exit 0, the file untouched, a warning with both ways on."""
    with open_site(tmp_path, way=way) as site:
        assert site.deploy("v2").code == 0
        edited = edit(route_file(site))
        done = site.celadon("rollback")
        assert done.code == 0, done.output
        assert site.visit() == (200, "v1")
        assert route_file(site).read_text() == edited
        assert "edited by hand" in done.output
        assert "celadon proxy accept" in done.output
        assert site.deploy("v3").code == 13


def test_a_rollback_that_must_write_an_edited_file_keeps_the_edit(tmp_path: Path) -> None:
    """The include way: traffic goes back, and the edit is in the named copy and in the repository."""
    with open_site(tmp_path, way="include") as site:
        assert site.deploy("v2").code == 0
        edited = edit(route_file(site, "upstream.conf"), "# do not lose this\n")
        done = site.celadon("rollback")
        assert done.code == 0, done.output
        assert site.visit() == (200, "v1")
        [copy] = site.layout.edited.rglob("upstream.conf")
        assert copy.read_text() == edited
        assert str(copy) in done.output
        assert "+# do not lose this" in git(site, "log", "-p")
        assert [each["subject"] for each in read_log(site)][:2] == [
            "r1 to blue", "An edit by hand of upstream.conf, which a switch replaced"
        ]  # fmt: skip
        assert site.deploy("v3").code == 0


def test_an_accepted_edit_of_the_file_that_names_the_route_is_there_after_each_switch(tmp_path: Path) -> None:
    """The include way, forward and back."""
    with open_site(tmp_path, way="include") as site:
        upstream = route_file(site, "upstream.conf")
        edit(upstream, "# kept beside the route\n")
        assert site.celadon("proxy", "accept").code == 0
        for version in ("v2", "v3"):
            assert site.deploy(version).code == 0
            assert "# kept beside the route\n" in upstream.read_text()
            assert site.visit() == (200, version)
        assert site.celadon("rollback").code == 0
        assert "# kept beside the route\n" in upstream.read_text()
        assert site.visit() == (200, "v2")


def test_an_edit_that_only_one_slots_text_can_take_is_not_accepted(tmp_path: Path) -> None:
    """The include way: it would be in the way of the next switch."""
    with open_site(tmp_path, way="include") as site:
        upstream = route_file(site, "upstream.conf")
        upstream.write_text(re.sub(r"(server \S+);", r"\1 max_fails=0;", upstream.read_text()))
        edited = upstream.read_text()
        done = site.celadon("proxy", "accept")
        assert done.code == 13, done.output
        assert "accepted and celadon.toml both change line" in done.output
        assert upstream.read_text() == edited
        assert site.celadon("proxy", "restore").code == 0
        assert site.deploy("v2").code == 0


def test_caddys_reload_keeps_an_edit_that_it_replaces(tmp_path: Path) -> None:
    """The snippet names the route there."""
    with open_site(tmp_path, proxy="caddy", way="reload") as site:
        assert site.deploy("v2").code == 0
        [snippet] = site.conf.rglob("shop.caddy")
        edited = edit(snippet, "# do not lose this\n")
        done = site.celadon("rollback")
        assert done.code == 0, done.output
        assert site.visit() == (200, "v1")
        [copy] = site.layout.edited.rglob("shop.caddy")
        assert copy.read_text() == edited
        assert str(copy) in done.output


def test_an_edit_made_while_a_deploy_prepares_is_found_before_the_switch(site: Site) -> None:
    """Exit 10: traffic never moved, and the edit stands."""
    change_settings(
        site, "[readiness]", f'[build]\nsteps = ["echo {EDIT.strip()!r} >> {route_file(site)}"]\n[readiness]'
    )
    done = site.deploy("v2")
    assert done.code == 10, done.output
    assert f"{route_file(site)} was edited by hand since this deploy began" in done.output
    assert EDIT in route_file(site).read_text()
    assert site.visit() == (200, "v1")


def test_an_operation_that_runs_keeps_accept_and_restore_away(site: Site) -> None:
    """Exit 12, with the holder."""
    change_settings(site, 'window = "400ms"', 'window = "60s"')
    site.write_version("v2")
    deploying = site.start_celadon("deploy", "--json", "--lead", "grace")
    for line in deploying.stdout or ():
        if "window_opened" in line:
            break
    edited = edit(route_file(site))
    for verb in ("accept", "restore"):
        done = site.celadon("proxy", verb)
        assert done.code == 12, done.output
        assert "grace" in done.output
    assert route_file(site).read_text() == edited
    assert site.celadon("rollback").code == 0
    deploying.communicate(timeout=60)


def test_without_git_everything_works_and_a_warning_says_so(tmp_path: Path) -> None:
    """And the first deploy with git makes up for it, one commit a change."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for path in Path(directory).glob("*"):
            if path.name != "git" and not (programs / path.name).exists():
                (programs / path.name).symlink_to(path)
    env = {"PATH": str(programs)}
    assert shutil.which("git", path=str(programs)) is None
    with open_site(tmp_path / "site") as site:
        for version in ("v2", "v3"):
            done = site.deploy(version, env=env)
            assert done.code == 0, done.output
            assert "git is not installed" in done.output
        edit(route_file(site))
        assert site.celadon("proxy", "diff", env=env).code == 13
        assert site.celadon("proxy", "accept", env=env).code == 0
        missing = site.celadon("proxy", "log", env=env)
        assert (missing.code, "apt install git" in missing.output) == (20, True), missing.output
        assert site.deploy("v4").code == 0
        subjects = [each["subject"] for each in read_log(site)]
        assert subjects[:4] == [
            "r4 to green", "Accept the edit by hand of route.conf", "r3 to blue", "r2 to green"
        ]  # fmt: skip


def test_what_a_dead_operation_could_not_write_down_is_found(site: Site) -> None:
    """Killed between the move of the route and its record: the next operation's first commit says so."""
    site.write_version("v2")
    assert operate(site, OperationKind.DEPLOY, env=arm("seen")) == KILLED
    site.celadon("recover")
    told = read_log(site)
    found = next(each for each in told if each["subject"].startswith("Found on the disk: green"))
    assert found["lead"] == "celadon"
    assert told[0]["subject"] == "r1 to blue"


@pytest.mark.parametrize("harm", ["smashed object", "empty branch", "no head"])
def test_a_damaged_repository_is_set_aside_and_said(site: Site, harm: str) -> None:
    """It never stops a deploy; the next has a sound one."""
    read_log(site)
    repository = site.layout.proxy_repository
    tip = git(site, "rev-parse", "HEAD").strip()
    match harm:
        case "smashed object":
            (repository / "objects" / tip[:2] / tip[2:]).unlink()
        case "empty branch":
            (repository / "refs" / "heads" / "main").write_text("")
        case _:
            (repository / "HEAD").unlink()
    assert site.deploy("v2").code == 0
    with having_turn(site.layout):
        pass
    done = site.deploy("v3")
    assert done.code == 0
    assert "was damaged" in done.output
    assert [each["subject"] for each in read_log(site)][:2] == ["r3 to blue", "r2 to green"]
    assert (repository.with_name("proxy.damaged-1")).is_dir()
    assert "was damaged" not in site.celadon("check").output


def test_nobody_else_reads_what_is_kept(site: Site) -> None:
    """Repository, changes, accepted and kept edits: rendered text may hold a secret."""
    edit(route_file(site))
    assert site.celadon("proxy", "accept").code == 0
    edit(route_file(site), "proxy_send_timeout 5s;\n")
    assert site.celadon("proxy", "restore").code == 0
    layout = site.layout
    assert stat.S_IMODE(layout.accepted.stat().st_mode) == 0o600
    for directory in (layout.proxy_repository, layout.proxy_changes, layout.edited):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700, directory


def test_a_rollback_does_not_wait_for_the_commit(site: Site) -> None:
    """Somebody sits on the repository for as long as it takes; the rollback is back before."""
    change_settings(site, "[observe]", '[observe]\nbless = "manual"')
    assert site.deploy("v2").code == 20
    with having_turn(site.layout):
        began_s = time.monotonic()
        done: Done = site.celadon("rollback")
        took_s = time.monotonic() - began_s
    assert done.code == 0, done.output
    assert took_s < 5.0
    assert read_log(site)[0]["subject"] == "r1 to blue"
