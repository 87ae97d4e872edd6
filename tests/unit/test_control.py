"""A request wakes the operation, and is not lost when it was asleep, busy or stopped."""

import os
import threading
import time
from pathlib import Path

from celadon.host.control import FileControl, HostClock, ask
from celadon.model.plan import Request


def test_a_request_ends_a_wait_at_once(tmp_path: Path) -> None:
    """A wait of a minute returns when somebody asks."""
    clock, control = HostClock(), FileControl(tmp_path / "request")
    threading.Timer(0.05, lambda: ask(tmp_path / "request", Request.ABORT, by="ada", pid=os.getpid())).start()
    began = time.monotonic()
    clock.wait(60.0)
    assert time.monotonic() - began < 30.0
    asked = control.asked()
    assert asked is not None
    assert (asked.request, asked.by) == (Request.ABORT, "ada")


def test_a_taken_request_is_gone(tmp_path: Path) -> None:
    """And taking none is fine."""
    control = FileControl(tmp_path / "request")
    control.taken()
    HostClock()
    ask(tmp_path / "request", Request.FINALIZE, by="ada")
    control.taken()
    assert control.asked() is None
