"""A process that watches a slot which lives on for its streams, and has it ended when its time has come.

An operation that leaves such a slot starts it, and every later one that finds none. It is a convenience: where it dies,
the next operation ends the slot at the latest; where systemd runs, it is started again.
"""

import os
import subprocess
import sys

from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.host.transient import start_transient, systemd_runs

_AGAIN_AFTER_S = 30


def is_kept(layout: Layout) -> bool:
    return AppLock(layout.keeping).holder() is not None


def ensure_kept(layout: Layout) -> None:
    """Idempotent: a second watcher ends when it sees the first. Raises OSError."""
    if is_kept(layout):
        return
    argv = [sys.executable, "-m", "celadon.cli.keep", str(layout.root), layout.app]
    layout.operations.mkdir(parents=True, exist_ok=True)
    if not (systemd_runs() and _start_unit(layout, argv)):
        _detach(layout, argv)


def _start_unit(layout: Layout, argv: list[str]) -> bool:
    """False where systemd does not take it."""
    properties = ("Restart=on-failure", f"RestartSec={_AGAIN_AFTER_S}")
    log = layout.operations / "keeping.log"
    return start_transient(f"celadon-{layout.app}-keep", argv, log=log, properties=properties).ok


def _detach(layout: Layout, argv: list[str]) -> None:
    """In a session of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with (layout.operations / "keeping.log").open("ab") as log:
        subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
