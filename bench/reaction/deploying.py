"""A deploy under way, by a pipe or on a terminal of its own, that can be lost."""

import os
import pty
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.site import CELADON, Site

from celadon.events import Entry, OperationEnded
from celadon.host.pointer import read_pointer
from celadon.model.names import Slot
from celadon.store.journal import read_entries

_TIMEOUT_S = 60.0
_LOOK_EVERY_S = 0.005


class Deploying:
    """`terminal`: its output goes to a terminal that it is the session of; `hang_up` takes it away."""

    def __init__(self, site: Site, *, terminal: bool) -> None:
        self._site = site
        self._after = max((entry.sequence for entry in self._read(after=0)), default=0)
        self._read_end, write_end = pty.openpty() if terminal else os.pipe()
        self._process = subprocess.Popen(
            [*CELADON, "deploy", "--json", "-c", str(site.config)],
            env=site.variables(),
            stdin=write_end if terminal else subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            start_new_session=True,
            preexec_fn=_take_terminal if terminal else None,  # noqa: PLW1509  no threads here
        )
        os.close(write_end)
        self._is_open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        self.wait()

    def await_event(self, name: str) -> None:
        """As it tells it."""
        text = b""
        while f'"{name}"'.encode() not in text:
            told = os.read(self._read_end, 65536)
            if not told:
                raise AssertionError(text.decode())
            text += told

    def wait(self) -> int:
        """Its exit code."""
        self._read_on()
        return self._process.wait(_TIMEOUT_S)

    def hang_up(self) -> None:
        if self._is_open:
            os.close(self._read_end)
            self._is_open = False

    def route(self, pointer: Path) -> Slot | None:
        return read_pointer(pointer)

    def await_route(self, pointer: Path, slot: Slot) -> None:
        until = time.monotonic() + _TIMEOUT_S
        while read_pointer(pointer) is not slot:
            if time.monotonic() > until:
                raise AssertionError("the route did not come back")
            time.sleep(_LOOK_EVERY_S)

    def end(self) -> list[Entry]:
        """What it recorded, when its last word is there or its process has ended."""
        self._read_on()
        until = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < until:
            entries = self._read(after=self._after)
            if any(isinstance(entry.body, OperationEnded) for entry in entries):
                return entries
            time.sleep(0.05)
        raise AssertionError("the deploy did not end")

    def _read_on(self) -> None:
        """To its end: nobody waits for a reader."""
        if self._is_open:
            with suppress(OSError):
                while os.read(self._read_end, 65536):
                    pass

    def _read(self, *, after: int) -> list[Entry]:
        layout = self._site.layout
        return list(read_entries(layout.journal, app=layout.app, after=after))


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
