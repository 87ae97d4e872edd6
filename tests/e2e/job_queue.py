"""A queue of somebody's in SQLite, and the two workers of the shop that a test deploys: `mail` takes each job once and
ends what it has begun when it is told to stop; `clock` writes down from when until when it was alive."""

import contextlib
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

MAIL = """
import os, signal, sqlite3, time
stopping = quiet = False
def stop(*_):
    global stopping
    stopping = True
def hush(*_):
    global quiet
    quiet = True
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGUSR1, hush)
version = open('VERSION').read().strip()
print('mail of', version, flush=True)
queue = sqlite3.connect('data/jobs.db', timeout=30, isolation_level=None)
began = time.monotonic()
while not stopping:
    if version.startswith('broken') and time.monotonic() - began > 0.1:
        raise SystemExit(5)
    taken = [] if quiet else queue.execute(
        "UPDATE jobs SET state = 'taken' WHERE id = (SELECT id FROM jobs WHERE state = 'new' LIMIT 1) RETURNING id"
    ).fetchall()
    if not taken:
        time.sleep(0.005)
        continue
    time.sleep(0.02)
    queue.execute('BEGIN IMMEDIATE')
    queue.execute('INSERT INTO done VALUES (?, ?)', (taken[0][0], version))
    queue.execute("UPDATE jobs SET state = 'done' WHERE id = ?", taken[0])
    queue.execute('COMMIT')
"""
CLOCK = """
import signal, sqlite3, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
queue = sqlite3.connect('data/jobs.db', timeout=30, isolation_level=None)
version, began = open('VERSION').read().strip(), time.monotonic()
row = queue.execute('INSERT INTO alive VALUES (?, ?, ?) RETURNING rowid', (version, began, began)).fetchone()
while True:
    queue.execute('UPDATE alive SET until = ? WHERE rowid = ?', (time.monotonic(), row[0]))
    time.sleep(0.01)
"""


class JobQueue:
    """Fed with a job every few milliseconds until it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as queue:
            queue.execute("PRAGMA journal_mode = WAL")
            queue.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT)")
            queue.execute("CREATE TABLE done (id INTEGER, version TEXT)")
            queue.execute("CREATE TABLE alive (version TEXT, began REAL, until REAL)")
        self._over = threading.Event()
        self._feeder = threading.Thread(target=self._feed)
        self._feeder.start()

    def close(self) -> None:
        self._over.set()
        self._feeder.join()

    def await_done(self, *, timeout_s: float = 30.0) -> None:
        """All that was ever put in."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if self.ask("SELECT count(*) FROM jobs WHERE state != 'done'") == [(0,)]:
                return
            time.sleep(0.02)

    def count(self) -> tuple[int, int, int]:
        """Put in, lost, doubled."""
        jobs = [row[0] for row in self.ask("SELECT id FROM jobs")]
        done = [row[0] for row in self.ask("SELECT id FROM done")]
        return len(jobs), len(set(jobs) - set(done)), len(done) - len(set(done))

    def versions(self) -> list[str]:
        """That did any of the work."""
        return sorted(row[0] for row in self.ask("SELECT DISTINCT version FROM done"))

    def alive(self) -> list[tuple[str, float, float]]:
        """Of each run of `clock`: its version, from when until when."""
        return [(row[0], row[1], row[2]) for row in self.ask("SELECT version, began, until FROM alive ORDER BY began")]

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with self._open() as queue:
            return queue.execute(statement).fetchall()

    def _feed(self) -> None:
        with self._open() as queue:
            while not self._over.wait(0.015):
                queue.execute("INSERT INTO jobs (state) VALUES ('new')")

    def _open(self) -> "contextlib.closing[sqlite3.Connection]":
        return contextlib.closing(sqlite3.connect(self._path, timeout=30, isolation_level=None))
