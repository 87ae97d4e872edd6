"""The verbs beside the deploy, as a person types them: what they say, what they exit with, what they leave alone."""

import contextlib
import json
import os
import pty
import pwd
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.cli.verbs import VERBS
from celadon.host.proxy_changes import having_turn
from celadon.model.names import Slot
from tests.e2e.site import CELADON, REPOSITORY, Site, open_site
from tests.e2e.site_proxies import NGINX

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("commands")) as opened:
        yield opened


def run_in(directory: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*CELADON, *words],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "CELADON_ROOT": str(directory / "state")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def snapshot(site: Site) -> dict[str, bytes]:
    """Files that a deploy would change. The proxy's log grows with every look, and `nginx -t` makes an empty pid file
    where nginx does not run. Whoever still commits the last deploy's changes ends first."""
    if site.layout.home.exists():
        with having_turn(site.layout):
            pass
    return {
        str(path): path.read_bytes()
        for path in [*site.state.rglob("*"), *site.conf.rglob("*")]
        if path.is_file() and not path.is_symlink() and path.suffix not in {".log", ".pid"} and "data" not in path.parts
    }


def test_check_says_that_a_deploy_would_go_ahead_and_touches_nothing(site: Site) -> None:
    """Exit 0."""
    before = snapshot(site)
    done = site.celadon("check")
    assert done.code == 0, done.output
    assert "A deploy would go ahead." in done.output
    assert snapshot(site) == before


def test_check_of_a_proxy_that_does_not_run_is_refused(tmp_path: Path) -> None:
    """Exit 13, with the command that starts it; the deploy says the same and touches nothing."""
    with open_site(tmp_path) as site:
        site.stop_proxy()
        before = snapshot(site)
        done = site.celadon("check")
        assert done.code == 13, done.output
        assert "no nginx runs with" in done.output
        assert snapshot(site) == before
        refused = site.celadon("deploy")
        assert refused.code == 13, refused.output
        assert "Refused before anything was touched" in refused.output
        assert site.running_slots() == ["blue"]


def test_plan_says_what_a_deploy_would_do_and_does_nothing(site: Site) -> None:
    """Release, candidate, the way back."""
    before = snapshot(site)
    done = site.celadon("plan")
    assert done.code == 0, done.output
    assert re.search(r"candidate +green", done.output)
    assert re.search(r"way back +r1", done.output)
    told = json.loads(site.celadon("plan", "--json").output)
    assert (told["release"], told["candidate"], told["refusals"]) == (2, "green", [])
    assert snapshot(site) == before


def test_init_guesses_and_what_it_writes_is_understood(tmp_path: Path) -> None:
    """A second init overwrites nothing."""
    (tmp_path / "Procfile").write_text("web: gunicorn shop:app\n")
    first = run_in(tmp_path, "init")
    assert first.returncode == 0, first.stderr
    text = (tmp_path / "celadon.toml").read_text()
    assert "gunicorn" in text
    shown = run_in(tmp_path, "config")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    second = run_in(tmp_path, "init")
    assert second.returncode == 2
    assert (tmp_path / "celadon.toml").read_text() == text


def test_config_prints_what_is_in_force_with_the_defaults_marked(site: Site) -> None:
    """Set values without the mark, all others with it."""
    lines = site.celadon("config").output.splitlines()
    window = next(line for line in lines if line.strip().startswith("window"))
    max_latency = next(line for line in lines if line.strip().startswith("max_latency"))
    assert "default" not in window
    assert "default" in max_latency


def test_logs_are_the_apps_own_lines(site: Site) -> None:
    """Of the live slot."""
    done = site.celadon("logs")
    assert done.code == 0
    assert "shop v1 listens" in done.output


def test_logs_are_followed_as_they_are_written(site: Site) -> None:
    """The last lines first; Ctrl-C ends it with 0."""
    log = site.layout.slot(Slot(site.running_slots()[0])) / "log"
    following = site.start_celadon("logs", "-f", "-n", "1")
    assert following.stdout is not None
    assert "listens" in following.stdout.readline()
    with log.open("a") as stream:
        stream.write("a late line\n")
    assert following.stdout.readline() == "a late line\n"
    following.send_signal(signal.SIGINT)
    assert following.wait(timeout=20) == 0


def answer_on_a_terminal(site: Site, answer: str) -> tuple[int, str]:
    """`celadon deploy` by a person who is asked; its exit code and the screen."""
    pid, terminal = pty.fork()
    if pid == 0:
        words = [*CELADON, "deploy", "-c", str(site.app / "celadon.toml")]
        os.execvpe(words[0], words, site.variables())  # noqa: S606
    screen = b""
    asked = False
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 65536):
            screen += chunk
            if b"Go on?" in screen and not asked:
                os.write(terminal, answer.encode() + b"\n")
                asked = True
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen.decode(errors="replace")


def test_a_change_of_the_proxys_files_is_shown_and_asked_for(tmp_path: Path) -> None:
    """On a terminal: a no is 13 and touches nothing, a yes goes on, and nothing is asked when nothing changes."""
    with contextlib.closing(Site(tmp_path)) as site:
        site.start_proxy()
        before = snapshot(site)
        code, screen = answer_on_a_terminal(site, "n")
        assert code == 13, screen
        assert "+proxy_pass http://celadon_shop_$celadon_slot_shop;" in screen
        assert "Traffic:" in screen
        assert snapshot(site) == before
        code, screen = answer_on_a_terminal(site, "y")
        assert code == 0, screen
        assert site.visit()[0] == 200
        code, screen = answer_on_a_terminal(site, "n")
        assert (code, "Go on?" in screen) == (0, False)


def test_every_mistake_is_told_with_its_place_and_where_traffic_goes(site: Site) -> None:
    """Exit 2; nothing was changed."""
    config = site.app / "celadon.toml"
    good = config.read_text()
    before = snapshot(site)
    try:
        config.write_text(good.replace("successes = 2", 'successes = "two"\nintervall = "1s"'))
        done = site.celadon("deploy")
    finally:
        config.write_text(good)
    assert done.code == 2, done.output
    assert re.search(r"celadon\.toml:\d+:\d+: .*successes", done.output)
    assert re.search(r"celadon\.toml:\d+:\d+: .*intervall.*interval", done.output)
    assert "Traffic:" in done.output
    assert snapshot(site) == before


def test_an_unknown_commit_is_refused_with_the_next_command(site: Site) -> None:
    """Exit 2."""
    done = site.celadon("deploy", "no-such-ref")
    assert done.code == 2, done.output
    assert "'no-such-ref' is neither a tar file nor a commit" in done.output
    assert "Next:" in done.output


def test_an_unknown_verb_is_answered_with_the_nearest() -> None:
    """Exit 2."""
    done = subprocess.run([*CELADON, "rolback"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "celadon rollback" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_that_its_shell_reads(shell: str) -> None:
    """And it names the command."""
    done = subprocess.run([*CELADON, "completion", shell], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "celadon" in done.stdout
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False).returncode == 0


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    """--help exits 0 and has more than a usage line."""
    done = subprocess.run([*CELADON, verb, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 3


def test_the_version_is_the_packages() -> None:
    """One number."""
    done = subprocess.run([*CELADON, "version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"celadon \d+\.\d+\.\d+.*\n", done.stdout)


def test_a_commit_is_deployed_exactly_and_an_archive_as_it_is(tmp_path: Path) -> None:
    """Uncommitted edits stay out of a deploy of HEAD; --quiet tells the outcome and no more."""
    with open_site(tmp_path) as site:
        git = ["git", "-C", str(site.app), "-c", "user.name=ada", "-c", "user.email=ada@example"]
        site.write_version("committed")
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
            subprocess.run([*git, *words], check=True)
        site.write_version("uncommitted")
        done = site.celadon("deploy", "HEAD", "--quiet")
        assert done.code == 0, done.output
        assert "prepare" not in done.output
        assert "Traffic: green, r2" in done.output
        assert site.visit() == (200, "committed")
        site.write_version("archived")
        archive = tmp_path / "shop.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for name in ("app.py", "VERSION"):
                tar.add(site.app / name, arcname=name)
        assert site.celadon("deploy", str(archive)).code == 0
        assert site.visit() == (200, "archived")


def test_a_failed_candidate_is_kept_until_the_next_deploy(site: Site) -> None:
    """Tree, log and environment; no rollback goes there, and the next deploy takes it away."""
    config = site.app / "celadon.toml"
    config.write_text(config.read_text().replace("[readiness]", '[web.env]\nTOKEN = "canary-77"\n[readiness]', 1))
    failed = site.deploy("v9", broken="exit")
    assert failed.code == 10
    path = Path(re.findall(r"kept for inspection: (\S+)", failed.output)[0])
    assert (path / "tree" / "app.py").exists()
    assert (path / "env").read_text() == 'TOKEN="***"\n'
    assert "cannot find the config of the shop" in site.celadon("logs", "--slot", "green").output
    assert "canary-77" not in "".join(each.read_text(errors="replace") for each in site.layout.home.rglob("env"))
    refused = site.celadon("rollback", path.name)
    assert refused.code == 13, refused.output
    assert "was rejected or taken back" in refused.output
    assert site.deploy("v10").code == 0
    assert not path.exists()


@pytest.mark.timeout(600)
@pytest.mark.skipif(os.geteuid() != 0, reason="dropping to another user needs root")
def test_the_demo_is_one_command_for_an_ordinary_user(tmp_path: Path) -> None:
    """A fresh checkout, nobody's, with Debian's own python: no request fails, and nothing is left running."""
    checkout = tmp_path / "checkout"
    listed = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, checkout / name)
    subprocess.run(["chown", "-R", "nobody:", str(checkout)], check=True)
    for parent in checkout.parents:
        if parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    done = subprocess.run(
        ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--no-new-privs", "./run", "demo"],
        cwd=checkout,
        env=os.environ | {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(checkout), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert re.fullmatch(
        r"demo: \d+ requests, 0 failed, switch [\d.]+ ms, rollback \d+ ms", done.stdout.splitlines()[-1]
    )
    assert [pid for pid in pids_of("nobody") if str(checkout) in working_directory(pid)] == []


def pids_of(user: str) -> list[int]:
    uid = pwd.getpwnam(user).pw_uid
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if path.exists() and path.stat().st_uid == uid]


def working_directory(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
