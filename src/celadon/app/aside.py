"""Committing in a process of its own, once the operation is over: nobody waits for git, which would take a rollback a
quarter of its time. Imports nothing that the operation itself does not have.
"""

import contextlib
import os
from typing import NoReturn

from celadon.host.layout import Layout
from celadon.host.proxy_changes import has_waiting, take_turn


def begin_turn(layout: Layout) -> int | None:
    """Called before an operation's last word, so that whoever has read it and asks for the log waits for the commit.
    None when there is nothing to commit, or somebody else is at it."""
    try:
        return take_turn(layout, waits=False) if has_waiting(layout) else None
    except OSError:
        return None


def commit_aside(layout: Layout, turn: int | None) -> None:
    """Fork, and return at once (1 ms). The child is nobody's to wait for: it ends within seconds and says nothing. The
    changes of a process that cannot fork wait for the next one."""
    with contextlib.suppress(OSError):
        if has_waiting(layout) and os.fork() == 0:
            _commit_as_child(layout, turn)
    if turn is not None:
        os.close(turn)


def _commit_as_child(layout: Layout, turn: int | None) -> NoReturn:
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nothing, descriptor)
        from celadon.app.committing import commit, commit_waiting

        if turn is None:
            commit_waiting(layout)
        else:
            commit(layout)
    finally:
        os._exit(0)
