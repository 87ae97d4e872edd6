"""The journal's tables, as migrations from nothing. `PRAGMA user_version` counts those applied."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE entries (
               sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
               operation TEXT NOT NULL,
               app       TEXT NOT NULL,
               at        REAL NOT NULL,
               body      TEXT NOT NULL
           ) STRICT""",
        "CREATE INDEX entries_by_app ON entries (app, sequence)",
        "CREATE TABLE reserve (pad BLOB NOT NULL) STRICT",
    ),
)
"""Version 1 is the first tuple. A released tuple is never edited; a change is a new one at the end."""

VERSION = len(MIGRATIONS)
