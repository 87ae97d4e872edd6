"""The repository of what was rendered: whole after any death, and nobody else's."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from celadon.app.committing import check_repository, commit_waiting
from celadon.host.git_repository import Commit, GitRepository, RepositoryDamaged
from celadon.host.layout import Layout
from celadon.host.processes import kill_group
from celadon.host.proxy_changes import add_change, read_last, read_waiting, take_turn
from celadon.model.change import Change
from celadon.model.names import AppName, OperationId

COMMIT = """\
import sys
from pathlib import Path
from celadon.app.committing import commit_waiting
from celadon.host.layout import Layout
commit_waiting(Layout(Path(sys.argv[1]), "shop"))
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path, AppName("shop"))
    found.home.mkdir(parents=True)
    return found


def add(layout: Layout, number: int, *, lead: str = "ada", reason: str = "deploy") -> None:
    add_change(
        layout,
        Change(
            id=f"id{number}",
            at=1_700_000_000.0 + number,
            subject=f"r{number} to blue",
            lead=lead,
            operation=OperationId("0" * 12),
            reason=reason,
            route=f"blue r{number}",
            release=f"r{number}",
            files={'/etc/nginx/a b"c/route.conf': b"M\xfcller %d\n" % number},
        ),
    )


def git(layout: Layout, *words: str) -> bytes:
    argv = ["git", f"--git-dir={layout.proxy_repository}", *words]
    return subprocess.run(argv, capture_output=True, check=True).stdout


def subjects(layout: Layout) -> list[str]:
    return git(layout, "log", "--reverse", "--format=%s").decode().splitlines()


def test_each_change_is_a_commit_byte_for_byte(layout: Layout) -> None:
    """In order, with its trailers; any path, any encoding."""
    for number in (1, 2, 3):
        add(layout, number)
    assert commit_waiting(layout) == ""
    assert subjects(layout) == ["r1 to blue", "r2 to blue", "r3 to blue"]
    assert git(layout, "show", 'HEAD:etc/nginx/a b"c/route.conf') == b"M\xfcller 3\n"
    assert git(layout, "show", "HEAD:route") == b"blue r3\n"
    trailers = git(layout, "log", "-1", "--format=%(trailers:key=Release,key=Lead,key=Reason)").decode()
    assert trailers.split() == ["Release:", "r3", "Lead:", "ada", "Reason:", "deploy"]
    assert git(layout, "fsck", "--strict") == b""


def test_what_is_committed_waits_no_more_and_is_remembered(layout: Layout) -> None:
    """The newest is what celadon wrote last."""
    add(layout, 1)
    commit_waiting(layout)
    assert read_waiting(layout) == []
    last = read_last(layout)
    assert last is not None
    assert last.route == "blue r1"


@pytest.mark.parametrize("lead", ["a <b> c", "two\nlines", "", "Zoë 🦊", "-n"])
def test_no_name_breaks_a_commit(layout: Layout, lead: str) -> None:
    """Nor adds a trailer of its own."""
    add(layout, 1, lead=lead, reason="one\n\nRelease: r99\nLead: mallory")
    assert commit_waiting(layout) == ""
    assert git(layout, "log", "-1", "--format=%(trailers:key=Release,valueonly)").split() == [b"r1"]


def test_a_death_at_any_moment_of_committing_loses_and_doubles_nothing(layout: Layout) -> None:
    """Killed with all its gits after 1, 2, 3 … ms until one commit gets through in time."""
    number = 0
    for wait_ms in range(0, 400, 8):
        number += 1
        add(layout, number)
        process = subprocess.Popen([sys.executable, "-c", COMMIT, str(layout.root)], start_new_session=True)
        time.sleep(0.02 + wait_ms / 1000)
        kill_group(process.pid)
        process.wait()
    number += 1
    add(layout, number)
    assert commit_waiting(layout) == ""
    assert subjects(layout) == [f"r{n} to blue" for n in range(1, number + 1)]
    assert git(layout, "fsck", "--strict", "--no-dangling") == b""


def test_a_death_after_the_commit_does_not_double_it(layout: Layout) -> None:
    """The change still waits, and is known by its name."""
    for number in (1, 2):
        add(layout, number)
    waiting = {path.name: path.read_bytes() for path, _ in read_waiting(layout)}
    commit_waiting(layout)
    for name, content in waiting.items():
        (layout.proxy_changes / name).write_bytes(content)
    add(layout, 3)
    assert commit_waiting(layout) == ""
    assert subjects(layout) == ["r1 to blue", "r2 to blue", "r3 to blue"]


@pytest.mark.parametrize("lock", ["refs/heads/main.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "gc.pid"])
def test_a_lock_of_a_dead_git_stands_in_nobodys_way(layout: Layout, lock: str) -> None:
    """Only who holds ours writes there."""
    add(layout, 1)
    commit_waiting(layout)
    (layout.proxy_repository / lock).write_text("")
    add(layout, 2)
    assert commit_waiting(layout) == ""
    assert subjects(layout) == ["r1 to blue", "r2 to blue"]


def test_a_repository_half_made_is_made_again(layout: Layout) -> None:
    """It has another name until it is whole."""
    (layout.home / "proxy.partial").mkdir()
    add(layout, 1)
    assert commit_waiting(layout) == ""


def test_a_damaged_one_is_kept_aside_and_a_new_one_begun(layout: Layout) -> None:
    """Told by the next check, until the next commit."""
    add(layout, 1)
    commit_waiting(layout)
    tip = git(layout, "rev-parse", "HEAD").decode().strip()
    (layout.proxy_repository / "objects" / tip[:2] / tip[2:]).unlink()
    add(layout, 2)
    assert "proxy.damaged-1" in commit_waiting(layout)
    assert "proxy.damaged-1" in check_repository(layout)[0].text
    assert subjects(layout) == ["r2 to blue"]
    add(layout, 3)
    assert commit_waiting(layout) == ""
    assert check_repository(layout) == []


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_no_damage(tmp_path: Path) -> None:
    """The repository stays, the changes wait, the words say why; with room again everything is in it."""
    layout = Layout(tmp_path / "disk", AppName("shop"))
    layout.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", layout.root], check=True)
    try:
        layout.home.mkdir(parents=True)
        add(layout, 1)
        assert commit_waiting(layout) == ""
        add(layout, 2)
        filler = layout.root / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
            while stream.write(b"x" * 4096):
                pass
        assert "could not be committed" in commit_waiting(layout)
        filler.unlink()
        add(layout, 3)
        assert commit_waiting(layout) == ""
        assert subjects(layout) == ["r1 to blue", "r2 to blue", "r3 to blue"]
        assert not (layout.home / "proxy.damaged-1").exists()
    finally:
        subprocess.run(["umount", "--lazy", layout.root], check=True)


def test_a_change_that_a_power_cut_left_half_written_is_passed_over(layout: Layout) -> None:
    """The next operation finds the difference."""
    add(layout, 1)
    (layout.proxy_changes / "000002.json").write_bytes(b"\0\0\0")
    last = read_last(layout)
    assert last is not None
    assert last.route == "blue r1"
    assert commit_waiting(layout) == ""
    assert subjects(layout) == ["r1 to blue"]


def test_one_commits_at_a_time(layout: Layout) -> None:
    """And the other does not wait where it must not."""
    held = take_turn(layout, waits=False)
    assert held is not None
    assert take_turn(layout, waits=False) is None
    os.close(held)
    again = take_turn(layout, waits=False)
    assert again is not None
    os.close(again)


def test_what_is_no_revision_is_refused(tmp_path: Path) -> None:
    """An option among them."""
    repository = GitRepository(tmp_path / "proxy")
    repository.ensure()
    repository.append([Commit(author="ada", at=1.0, message="one\n", files={"route": b"blue\n"})])
    assert "one" in repository.show("HEAD")
    for revision in ("--output=/etc/passwd", "nothing", "HEAD~7", "a b", ""):
        with pytest.raises(ValueError, match=f"^{re.escape(revision)}$"):
            repository.show(revision)


def test_somebodys_directory_is_not_taken_for_a_repository(tmp_path: Path) -> None:
    """It is set aside by whoever knows what it is."""
    (tmp_path / "proxy").mkdir()
    with pytest.raises(RepositoryDamaged):
        GitRepository(tmp_path / "proxy").ensure()
