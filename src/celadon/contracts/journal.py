"""The durable record. Not a sink: when it cannot be written, a step has failed."""

from collections.abc import Sequence
from typing import Protocol

from celadon.events import Entry, Event
from celadon.model.names import OperationId


class Journal(Protocol):
    def append(self, *events: Event) -> Entry:
        """All of them or none, durable when it returns (fsynced): the last one's entry. Raises JournalError."""
        ...

    def read(self, *, after: int = 0, operation: OperationId | None = None) -> Sequence[Entry]:
        """Entries of this app with a sequence above `after`, oldest first."""
        ...
