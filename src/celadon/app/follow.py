"""Following an operation: read what it appends to the journal, hand it to the sinks, say how it ended."""

import os
import time
from collections.abc import Sequence

from celadon.contracts.sink import Sink
from celadon.events import Entry, OperationEnded
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.host.transient import is_transient_alive
from celadon.model.names import OperationId
from celadon.model.plan import Outcome
from celadon.store.journal import read_entries

_POLL_S = (0.004, 0.05)
_EAGER_FOR_S = 2.0
_GRACE_S = 2.0


class Follower:
    """`pid` is the operation's process where it is our child, `unit` what systemd runs it in where we had that started:
    on a busy machine it needs seconds until it holds the lock."""

    def __init__(
        self, layout: Layout, operation: OperationId, sinks: Sequence[Sink], *, pid: int | None, unit: str = ""
    ) -> None:
        self._layout = layout
        self._operation = operation
        self._sinks = sinks
        self._pid = pid
        self._unit = unit
        self._sequence = 0
        self.ended: OperationEnded | None = None

    def follow(self) -> Outcome | None:
        """Blocks until the operation ends. None: its process died without a last word. KeyboardInterrupt passes
        through; the operation goes on."""
        began = time.monotonic()
        gone_since: float | None = None
        while True:
            self._read()
            if self.ended is not None:
                self._reap()
                return self.ended.outcome
            now = time.monotonic()
            if self._runs():
                gone_since = None
            elif gone_since is None:
                gone_since = now
            elif now - gone_since > (0.05 if self._pid is not None else _GRACE_S):
                if self._has_yet_to_begin():
                    gone_since = now
                    continue
                self._read()
                return self.ended.outcome if self.ended is not None else None
            time.sleep(_POLL_S[now - began > _EAGER_FOR_S])

    def _read(self) -> None:
        for entry in read_entries(
            self._layout.journal, app=self._layout.app, after=self._sequence, operation=self._operation
        ):
            self._sequence = entry.sequence
            _hand_out(entry, self._sinks)
            if isinstance(entry.body, OperationEnded):
                self.ended = entry.body

    def _runs(self) -> bool:
        if self._pid is None:
            holder = AppLock(self._layout.lock).holder()
            return holder is not None and holder.operation == self._operation
        try:
            pid, _ = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:
            return False
        return pid == 0

    def _has_yet_to_begin(self) -> bool:
        """Or to end: systemd has it, and it does not hold the lock."""
        return self._unit != "" and is_transient_alive(self._unit)

    def _reap(self) -> None:
        """The child that wrote its last event is about to exit: no zombie is left to a long-lived caller."""
        if self._pid is not None:
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                self._pid = None


def _hand_out(entry: Entry, sinks: Sequence[Sink]) -> None:
    """Sinks are isolated: one that fails is skipped, and neither the others nor the deploy notice."""
    for sink in sinks:
        try:
            sink.take(entry)
        except Exception:  # noqa: BLE001, S112  the sink edge
            continue
