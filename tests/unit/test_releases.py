"""Releases: whole or not at all, never changed, and known again."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from celadon.drivers.releases.store import ReleaseStore
from celadon.events import BuildStepEnded, BuildStepStarted, DependenciesReused, Event, ReleaseCompared, ReleaseMade
from celadon.host.environment import read_env
from celadon.host.layout import Layout
from celadon.host.processes import find_marked
from celadon.model.address import TcpAddress
from celadon.model.errors import StepError
from celadon.model.names import AppName, ReleaseNumber
from celadon.model.release import Fate, Release, Source, SourceKind
from celadon.model.settings import BuildSettings, ReusedDirectory, Settings
from tests.fakes.world import Died, make_settings


class Shelf:
    def __init__(self, base: Path) -> None:
        self.source = base / "src"
        self.source.mkdir()
        (self.source / "app.py").write_text("print('hello')\n")
        self.layout = Layout(base / "state", AppName("shop"))
        self.store = ReleaseStore(self.layout, owner=None)
        self.told: list[Event] = []

    def settings(self, *, shared: tuple[str, ...] = (), env: dict[str, str] | None = None, **build: Any) -> Settings:
        settings = make_settings()
        web = replace(settings.web, env=env or {})
        return replace(settings, shared=shared, web=web, build=BuildSettings(**build))

    def make(
        self,
        number: int,
        settings: Settings | None = None,
        *,
        source: Source | None = None,
        live: ReleaseNumber | None = None,
        reached: Callable[[str], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Release:
        return self.store.make(
            ReleaseNumber(number),
            source or Source(kind=SourceKind.DIRECTORY, location=str(self.source)),
            settings=settings or self.settings(),
            lead="ada",
            live=live,
            tell=self.told.append,
            reached=reached,
            cancelled=cancelled,
        )

    def told_of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_release_of_a_directory_stands_whole(shelf: Shelf) -> None:
    """Tree, manifest and env; what is excluded is not in it."""
    (shelf.source / ".git").mkdir()
    (shelf.source / ".git" / "config").write_text("secret")
    (shelf.source / "lib").mkdir()
    (shelf.source / "lib" / "link").symlink_to("../app.py")
    release = shelf.make(1, shelf.settings(env={"GREETING": 'say "hi" $now'}))
    assert (release.tree / "app.py").read_text() == "print('hello')\n"
    assert (release.tree / "lib" / "link").is_symlink()
    assert not (release.tree / ".git").exists()
    assert read_env(release.path / "env") == {"GREETING": 'say "hi" $now'}
    assert (release.path / "env").stat().st_mode & 0o777 == 0o600
    assert release.manifest.built_by == "ada"
    assert shelf.store.numbers() == (1,)
    assert shelf.told_of(ReleaseMade)[0].files_count == 2


def test_a_release_of_a_commit_is_that_commit(shelf: Shelf) -> None:
    """Not the work tree, not what was committed since."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(shelf.source), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    commit = git("rev-parse", "HEAD")
    (shelf.source / "app.py").write_text("print('dirty')\n")
    source = Source(kind=SourceKind.GIT, location=str(shelf.source), ref="HEAD", commit=commit)
    release = shelf.make(1, source=source)
    assert (release.tree / "app.py").read_text() == "print('hello')\n"
    with pytest.raises(StepError) as caught:
        shelf.make(2, source=replace(source, commit="0" * 40))
    assert caught.value.code == "ref_unknown"


@pytest.mark.parametrize("point", ["mid_unpack", "unpacked"])
def test_a_death_while_unpacking_leaves_nothing_that_counts(shelf: Shelf, point: str) -> None:
    """A `.partial` is worthless by name, and gone with the next release."""

    def die(name: str) -> None:
        if name == point:
            raise Died(name)

    with pytest.raises(Died):
        shelf.make(1, reached=die)
    assert shelf.store.numbers() == ()
    shelf.make(2)
    assert sorted(path.name for path in shelf.layout.releases.iterdir()) == ["r2"]


def change_file(release: Release) -> str:
    (release.tree / "app.py").write_text("print('other')\n")
    return "tree/app.py"


def add_file(release: Release) -> str:
    (release.tree / "extra.py").write_text("")
    return "tree/extra.py"


def change_mode(release: Release) -> str:
    (release.tree / "app.py").chmod(0o755)
    return "tree/app.py"


def remove_file(release: Release) -> str:
    (release.tree / "app.py").unlink()
    return "tree/app.py"


def change_env(release: Release) -> str:
    (release.path / "env").write_text('A="2"\n')
    return "env"


@pytest.mark.parametrize("change", [change_file, add_file, change_mode, remove_file, change_env])
def test_a_changed_release_is_known_by_what_differs(shelf: Shelf, change: Callable[[Release], str]) -> None:
    """The digest covers names, modes, contents and the environment."""
    release = shelf.make(1)
    assert shelf.store.verify(release) is None
    assert change(release) == shelf.store.verify(shelf.store.read(ReleaseNumber(1)))


def test_bytecode_caches_are_no_change(shelf: Shelf) -> None:
    """Python writes them while the app runs."""
    release = shelf.make(1)
    (release.tree / "__pycache__").mkdir()
    (release.tree / "__pycache__" / "app.pyc").write_bytes(b"\0")
    assert shelf.store.verify(release) is None


def test_build_steps_run_in_the_tree_in_order(shelf: Shelf) -> None:
    """With the release's environment, their output kept."""
    settings = shelf.settings(env={"WHO": "ada"}, steps=("echo $WHO > built", "cat built; pwd"))
    release = shelf.make(1, settings)
    assert (release.tree / "built").read_text() == "ada\n"
    assert "ada" in (release.path / "build.log").read_text()
    assert [event.command for event in shelf.told_of(BuildStepStarted)] == list(settings.build.steps)


def test_a_failed_build_step_keeps_its_output_and_makes_no_release(shelf: Shelf) -> None:
    """The last lines are told, the log stays until the next release."""
    settings = shelf.settings(steps=("for i in $(seq 30); do echo line $i; done; exit 4", "touch never"))
    with pytest.raises(StepError) as caught:
        shelf.make(1, settings)
    assert caught.value.code == "build_failed"
    ended = shelf.told_of(BuildStepEnded)[-1]
    assert (ended.exit_code, ended.output_tail[0], ended.output_tail[-1]) == (4, "line 11", "line 30")
    assert shelf.store.numbers() == ()
    assert "line 1\n" in (shelf.layout.releases / "r1.partial" / "build.log").read_text()


def test_a_build_over_its_time_is_ended_with_its_children(shelf: Shelf) -> None:
    """The whole process group."""
    settings = shelf.settings(steps=("export CELADON_TEST_MARK=timeout; sleep 600 & sleep 600",), timeout_s=0.3)
    with pytest.raises(StepError) as caught:
        shelf.make(1, settings)
    assert caught.value.code == "build_timeout"
    assert await_gone(b"CELADON_TEST_MARK=timeout")


def test_an_abort_ends_a_build_step_in_the_middle(shelf: Shelf) -> None:
    """Within a tenth of a second or so, not at its end."""
    asked = threading.Event()
    threading.Timer(0.2, asked.set).start()
    began = time.monotonic()
    with pytest.raises(StepError) as caught:
        shelf.make(1, shelf.settings(steps=("sleep 600",)), cancelled=asked.is_set)
    assert caught.value.code == "cancelled"
    assert time.monotonic() - began < 60


def test_unchanged_dependencies_are_taken_over(shelf: Shelf) -> None:
    """Only while the lock file that governs them is the same, byte for byte."""
    (shelf.source / "requirements.txt").write_text("flask==3\n")
    reuse = (ReusedDirectory(directory="venv", lock_file="requirements.txt"),)
    settings = shelf.settings(dependency_steps=("mkdir venv; date +%N > venv/stamp",), reuse=reuse)
    first = shelf.make(1, settings)
    second = shelf.make(2, settings)
    stamp = (first.tree / "venv" / "stamp").read_text()
    assert (second.tree / "venv" / "stamp").read_text() == stamp
    assert shelf.told_of(DependenciesReused)[0].from_release == 1
    assert (first.tree / "venv" / "stamp").stat().st_ino != (second.tree / "venv" / "stamp").stat().st_ino
    (shelf.source / "requirements.txt").write_text("flask==4\n")
    third = shelf.make(3, settings)
    assert (third.tree / "venv" / "stamp").read_text() != stamp
    assert len(shelf.told_of(BuildStepStarted)) == 2


def test_shared_paths_outlive_releases(shelf: Shelf) -> None:
    """The first release seeds them; later ones link to the same place, whatever lies in their source."""
    (shelf.source / "media").mkdir()
    (shelf.source / "media" / "logo").write_text("first")
    settings = shelf.settings(shared=("media", "data"))
    first = shelf.make(1, settings)
    (first.tree / "data" / "orders").write_text("42")
    (shelf.source / "media" / "logo").write_text("second")
    second = shelf.make(2, settings)
    assert (second.tree / "data" / "orders").read_text() == "42"
    assert (second.tree / "media" / "logo").read_text() == "first"
    assert shelf.store.verify(second) is None


def test_an_unreadable_environment_stops_the_release(shelf: Shelf, tmp_path: Path) -> None:
    """With the line, without the value."""
    (tmp_path / "env").write_text("GOOD=1\nsecret value\n")
    settings = shelf.settings()
    settings = replace(settings, web=replace(settings.web, env_file=str(tmp_path / "env")))
    with pytest.raises(StepError) as caught:
        shelf.make(1, settings)
    assert caught.value.code == "env_unreadable"
    assert "line 2" in caught.value.what
    assert "secret" not in caught.value.what


def test_the_file_of_secrets_is_no_part_of_the_tree(shelf: Shelf) -> None:
    """It may lie beside the code, whose copy everybody may read; of its name only that one is left out."""
    (shelf.source / ".env.production").write_text("TOKEN=x\n")
    (shelf.source / "docs").mkdir()
    (shelf.source / "docs" / ".env.production").write_text("an example")
    settings = shelf.settings()
    settings = replace(
        settings,
        source=replace(settings.source, path=str(shelf.source)),
        web=replace(settings.web, env_file=str(shelf.source / ".env.production")),
    )
    release = shelf.make(1, settings)
    assert read_env(release.path / "env") == {"TOKEN": "x"}
    assert not (release.tree / ".env.production").exists()
    assert (release.tree / "docs" / ".env.production").exists()


def of_release(number: int) -> Source:
    return Source(kind=SourceKind.RELEASE, location=f"r{number}", ref="v1", commit="c0ffee")


def test_a_new_environment_takes_the_files_as_they_were_built(shelf: Shelf) -> None:
    """No build, not the directory of today; each release has variables of its own and is whole by itself."""
    built = shelf.settings(env={"MODE": "old", "GONE": "x"}, shared=("data",), steps=("echo built >> out",))
    old = shelf.make(1, built)
    (shelf.source / "app.py").write_text("print('of today')\n")
    settings = replace(built, web=replace(built.web, env={"MODE": "new", "ADDED": "x"}))
    new = shelf.make(2, settings, source=of_release(1), live=ReleaseNumber(1))
    assert (new.tree / "app.py").read_text() == "print('hello')\n"
    assert (new.tree / "out").read_text() == "built\n"
    assert (new.tree / "data").readlink() == shelf.layout.shared / "data"
    assert new.manifest.tree_digest == old.manifest.tree_digest
    assert (new.manifest.source.ref, new.manifest.source.commit) == ("v1", "c0ffee")
    assert (read_env(new.path / "env")["MODE"], read_env(old.path / "env")["MODE"]) == ("new", "old")
    (new.tree / "out").write_text("written by the app\n")
    assert shelf.store.verify(old) is None
    [compared] = shelf.told_of(ReleaseCompared)
    assert not compared.files_differ
    assert (compared.env_added, compared.env_changed, compared.env_removed) == (("ADDED",), ("MODE",), ("GONE",))


def test_an_environment_that_is_the_same_is_no_release(shelf: Shelf) -> None:
    """Somebody has forgotten to save a file; what was read is not left lying there."""
    settings = shelf.settings(env={"TOKEN": "canary-5e"})
    shelf.make(1, settings)
    with pytest.raises(StepError) as caught:
        shelf.make(2, settings, source=of_release(1))
    assert caught.value.code == "env_unchanged"
    assert shelf.store.numbers() == (1,)
    kept = [path for path in shelf.layout.releases.rglob("env") if "canary-5e" in path.read_text()]
    assert kept == [shelf.layout.release(1) / "env"]


def test_files_that_are_not_what_was_built_get_no_new_environment(shelf: Shelf) -> None:
    """Nor a release that would look whole."""
    change_file(shelf.make(1, shelf.settings(env={"MODE": "old"})))
    with pytest.raises(StepError) as caught:
        shelf.make(2, shelf.settings(env={"MODE": "new"}), source=of_release(1))
    assert caught.value.code == "release_altered"
    assert shelf.store.numbers() == (1,)


def test_what_is_new_beside_the_live_release_is_told_by_name(shelf: Shelf) -> None:
    """Code, variables and settings in one deploy are all named; what they hold is not."""
    shelf.make(1, shelf.settings(env={"TOKEN": "canary-1"}))
    (shelf.source / "app.py").write_text("print('other')\n")
    settings = shelf.settings(env={"TOKEN": "canary-2"}, timeout_s=7.0)
    web = replace(settings.web, command="other", blue=TcpAddress(port=9001))
    shelf.make(2, replace(settings, web=web, keep_count=9), live=ReleaseNumber(1))
    [compared] = shelf.told_of(ReleaseCompared)
    assert compared.files_differ
    assert compared.env_changed == ("TOKEN",)
    assert compared.settings_changed == ("build.timeout", "keep", "web.command", "web.ports")
    assert "canary" not in repr(compared)


def test_prune_keeps_what_may_be_needed(shelf: Shelf) -> None:
    """The newest, the protected, and the last blessed one however old."""
    releases = [shelf.make(number) for number in range(1, 8)]
    shelf.store.mark(releases[0], Fate.BLESSED)
    shelf.store.mark(releases[1], Fate.BLESSED)
    gone = shelf.store.prune(keep_count=2, protected={ReleaseNumber(4)})
    assert gone == (1, 3, 5)
    assert shelf.store.numbers() == (2, 4, 6, 7)
    assert shelf.store.read(ReleaseNumber(2)).fate is Fate.BLESSED
    assert shelf.store.read(ReleaseNumber(4)).fate is None


def test_a_failed_release_is_kept_masked_until_the_next_is_made(shelf: Shelf) -> None:
    """Tree and log stay whole; of the variables only the names."""
    failed = shelf.make(1, shelf.settings(env={"API_KEY": "canary-1c"}, steps=("echo built > out",)))
    shelf.store.mark(failed, Fate.FAILED)
    assert shelf.store.read(ReleaseNumber(1)).fate is Fate.FAILED
    assert (failed.tree / "out").read_text() == "built\n"
    assert (failed.path / "build.log").read_text() == "$ echo built > out\n"
    assert read_env(failed.path / "env") == {"API_KEY": "***"}
    assert (failed.path / "env").stat().st_mode & 0o777 == 0o600
    shelf.make(2)
    assert shelf.store.numbers() == (2,)


def test_the_first_fate_stays(shelf: Shelf) -> None:
    """A blessed release that fails when it is rolled back to was good once, and keeps its variables."""
    release = shelf.make(1, shelf.settings(env={"A": "1"}))
    shelf.store.mark(release, Fate.BLESSED)
    shelf.store.mark(release, Fate.FAILED)
    assert shelf.store.read(ReleaseNumber(1)).fate is Fate.BLESSED
    assert shelf.store.verify(release) is None


def test_a_failed_build_leaves_no_secret_behind(shelf: Shelf) -> None:
    """What is kept of it is for inspection too."""
    with pytest.raises(StepError):
        shelf.make(1, shelf.settings(env={"API_KEY": "canary-2f"}, steps=("exit 1",)))
    assert read_env(shelf.layout.releases / "r1.partial" / "env") == {"API_KEY": "***"}


@pytest.mark.parametrize("damage", ["", "{", '{"schema": 1}'])
def test_a_damaged_manifest_is_named(shelf: Shelf, damage: str) -> None:
    """Not a trace."""
    release = shelf.make(1)
    (release.path / "manifest.json").write_text(damage)
    with pytest.raises(StepError) as caught:
        shelf.store.read(ReleaseNumber(1))
    assert caught.value.code == "release_damaged"


def await_gone(mark: bytes) -> bool:
    """A killed process is in /proc until the kernel has taken it down."""
    until = time.monotonic() + 20
    while find_marked(mark) and time.monotonic() < until:
        time.sleep(0.01)
    return not find_marked(mark)
