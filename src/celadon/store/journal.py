"""The journal in SQLite: one file for all apps, every append on the disk when it returns.

Why not WAL: on a full disk WAL, DELETE and TRUNCATE committed 0 of 60 transactions, PERSIST with pages kept in
reserve 60 of 60. The reserve is a table whose pages are freed into the file's free list; the rollback journal keeps
its size (PERSIST) and is grown once by a transaction that touches as many pages.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from celadon.events import Entry, Event, decode_event, encode_event
from celadon.model.errors import JournalError
from celadon.model.names import AppName, OperationId
from celadon.store.schema import MIGRATIONS, VERSION

RESERVED_PAGES_COUNT = 128
LOWEST_PAGES_COUNT = 64
_PAGE_BYTES = 4096
_BUSY_TIMEOUT_S = 10.0
_APPEND = "INSERT INTO entries (operation, app, at, body) VALUES (?, ?, ?, ?)"
_ONE_MORE = ", (?, ?, ?, ?)"
_READ = "SELECT sequence, operation, app, at, body FROM entries WHERE app = ? AND sequence > ?"


class SqliteJournal:
    """`set_aside` is where a damaged predecessor lies, None when there was none. `mask` is what an event goes through
    before it is written."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        app: AppName,
        operation: OperationId,
        set_aside: str | None,
        mask: Callable[[Event], Event],
    ) -> None:
        self._mask = mask
        self._connection = connection
        self._app = app
        self._operation = operation
        self.set_aside = set_aside

    def append(self, *events: Event) -> Entry:
        """One statement, and so one transaction."""
        at = time.time()
        events = tuple(map(self._mask, events))
        values = [word for event in events for word in (self._operation, self._app, at, encode_event(event).decode())]
        with _translated("append to the journal"):
            cursor = self._connection.execute(_APPEND + _ONE_MORE * (len(events) - 1), values)
        return Entry(sequence=cursor.lastrowid or 0, operation=self._operation, app=self._app, at=at, body=events[-1])

    def read(self, *, after: int = 0, operation: OperationId | None = None) -> Sequence[Entry]:
        with _translated("read the journal"):
            return _select(self._connection, app=self._app, after=after, operation=operation)

    def close(self) -> None:
        self._connection.close()


def open_journal(
    path: Path, *, app: AppName, operation: OperationId, mask: Callable[[Event], Event] = lambda event: event
) -> SqliteJournal:
    """Open or make the journal. A damaged one is renamed to `journal.db.damaged-N` and a new one begun. Raises
    JournalError when it is of a newer celadon or cannot be made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    set_aside = None
    try:
        connection = _open(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
            raise JournalError(
                f"open {path}: {error}", code="journal_unusable", next_command="celadon check  # and: df -h"
            ) from error
        set_aside = _put_aside(path)
        with _translated(f"make {path}"):
            connection = _open(path)
    return SqliteJournal(connection, app=app, operation=operation, set_aside=set_aside, mask=mask)


def read_entries(path: Path, *, app: AppName, after: int = 0, operation: OperationId | None = None) -> Sequence[Entry]:
    """For followers: reads only, creates nothing. Empty when there is no readable journal (yet)."""
    if not path.exists():
        return ()
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S)
        ) as connection:
            return _select(connection, app=app, after=after, operation=operation)
    except sqlite3.DatabaseError:
        return ()


def _select(
    connection: sqlite3.Connection, *, app: AppName, after: int, operation: OperationId | None
) -> Sequence[Entry]:
    query, values = _READ, [app, after]
    if operation is not None:
        query, values = f"{_READ} AND operation = ?", [app, after, operation]
    return tuple(_make_entries(connection.execute(f"{query} ORDER BY sequence", values)))


def _make_entries(rows: sqlite3.Cursor) -> Iterator[Entry]:
    """An event kind of a newer version is passed over: the rest of the record is still worth reading."""
    for sequence, operation, app, at, body in rows:
        with contextlib.suppress(msgspec.ValidationError):
            yield Entry(sequence=sequence, operation=operation, app=app, at=at, body=decode_event(body))


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=PERSIST")
        connection.execute("PRAGMA synchronous=FULL")
        _migrate(connection, path)
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("quick_check failed")
        _keep_reserve(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise JournalError(
            f"{path} has schema {version}, this celadon knows {VERSION}: it was written by a newer one",
            code="journal_newer",
            next_command="celadon version",
        )
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _keep_reserve(connection: sqlite3.Connection) -> None:
    """Top the free list up while there is room. A full disk is no reason not to open."""
    if connection.execute("PRAGMA freelist_count").fetchone()[0] >= LOWEST_PAGES_COUNT:
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO reserve VALUES (zeroblob(?))", (RESERVED_PAGES_COUNT * _PAGE_BYTES,))
        connection.execute("COMMIT")
        connection.execute("DELETE FROM reserve")
    except sqlite3.OperationalError:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _is_damage(error: sqlite3.OperationalError) -> bool:
    return "malformed" in str(error) or "no such table" in str(error)


def _put_aside(path: Path) -> str:
    number = 1
    while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(target)
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    return str(target)


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise JournalError(
            f"{doing}: {error}", code="journal_unusable", next_command="celadon check  # and: df -h"
        ) from error
