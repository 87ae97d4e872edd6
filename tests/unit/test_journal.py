"""The journal: durable, ordered, whole after damage, and writable on a full disk."""

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.events import Step, StepStarted
from celadon.model.errors import JournalError
from celadon.model.names import AppName, OperationId
from celadon.store.journal import SqliteJournal, open_journal, read_entries
from celadon.store.schema import MIGRATIONS, VERSION

APP = AppName("shop")


def open_at(path: Path, operation: str = "op") -> SqliteJournal:
    return open_journal(path, app=APP, operation=OperationId(operation))


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    """Sequence is the identity, and it only grows."""
    journal = open_at(tmp_path / "journal.db")
    for step in Step:
        journal.append(StepStarted(step=step))
    entries = open_at(tmp_path / "journal.db", "later").read()
    assert [entry.body for entry in entries] == [StepStarted(step=step) for step in Step]
    assert [entry.sequence for entry in entries] == sorted({entry.sequence for entry in entries})


def test_what_is_appended_together_is_one_write_in_its_order(tmp_path: Path) -> None:
    """The entry of the last is given back."""
    path = tmp_path / "journal.db"
    last = open_at(path).append(*[StepStarted(step=step) for step in Step])
    entries = read_entries(path, app=APP)
    assert [entry.body for entry in entries] == [StepStarted(step=step) for step in Step]
    assert entries[-1] == last
    assert len({entry.at for entry in entries}) == 1


def test_a_follower_reads_on_from_a_sequence(tmp_path: Path) -> None:
    """And sees one operation only, when it asks for one."""
    path = tmp_path / "journal.db"
    first = open_at(path, "a").append(StepStarted(step=Step.PREPARE))
    open_at(path, "b").append(StepStarted(step=Step.VERIFY))
    assert [entry.operation for entry in read_entries(path, app=APP, after=first.sequence)] == ["b"]
    assert [entry.operation for entry in read_entries(path, app=APP, operation=OperationId("a"))] == ["a"]


def test_a_follower_creates_nothing(tmp_path: Path) -> None:
    """Reading what is not there leaves it not there."""
    assert read_entries(tmp_path / "journal.db", app=APP) == ()
    assert list(tmp_path.iterdir()) == []


def smash_header(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(b"\0" * 100)


def smash_pages(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(4096)
        stream.write(os.urandom(8192))


def fill_with_noise(path: Path) -> None:
    path.write_bytes(os.urandom(20000))


@pytest.mark.parametrize("damage", [smash_header, smash_pages, fill_with_noise])
def test_a_damaged_journal_is_set_aside_and_a_new_one_begun(tmp_path: Path, damage: object) -> None:
    """Nothing is deleted, and the next append works."""
    path = tmp_path / "journal.db"
    journal = open_at(path)
    for _ in range(50):
        journal.append(StepStarted(step=Step.PREPARE))
    journal.close()
    damage(path)  # type: ignore[operator]
    again = open_at(path)
    assert again.set_aside is not None
    assert Path(again.set_aside).exists()
    again.append(StepStarted(step=Step.VERIFY))
    assert len(open_at(path).read()) == 1


def test_an_empty_or_missing_file_is_a_new_journal(tmp_path: Path) -> None:
    """Zero bytes are what a lost write leaves."""
    path = tmp_path / "journal.db"
    path.touch()
    assert open_at(path).append(StepStarted(step=Step.PREPARE)).sequence == 1


def test_a_newer_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    """An old celadon must not rewrite what it does not understand."""
    path = tmp_path / "journal.db"
    open_at(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(JournalError) as caught:
        open_at(path)
    assert caught.value.code == "journal_newer"
    assert path.exists()


@pytest.mark.parametrize("version", range(VERSION + 1))
def test_every_older_schema_is_migrated(tmp_path: Path, version: int) -> None:
    """A database as each version made it opens, and takes an event."""
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as connection:
        for statements in MIGRATIONS[:version]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
    open_at(path).append(StepStarted(step=Step.PREPARE))
    assert len(open_at(path).read()) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a disk to fill needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> None:
    descriptor = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, b"\1" * 4096)
    os.close(descriptor)


@pytest.mark.root
def test_a_full_disk_still_takes_sixty_events(small_disk: Path) -> None:
    """A whole deploy's record fits into the reserve."""
    path = small_disk / "journal.db"
    journal = open_at(path)
    fill(small_disk)
    for _ in range(60):
        journal.append(StepStarted(step=Step.SWITCH))
    assert len(journal.read()) == 60


@pytest.mark.root
def test_a_disk_that_takes_nothing_more_is_an_error_not_a_loss(small_disk: Path) -> None:
    """Past the reserve an append raises, and what was acknowledged is still there."""
    path = small_disk / "journal.db"
    journal = open_at(path)
    fill(small_disk)
    with pytest.raises(JournalError):
        append_forever(journal)
    acknowledged = len(journal.read())
    assert acknowledged >= 60
    assert len(read_entries(path, app=APP)) == acknowledged


def append_forever(journal: SqliteJournal) -> None:
    while True:
        journal.append(StepStarted(step=Step.SWITCH))
