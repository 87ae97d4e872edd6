"""Whoever renders events for somebody. Cannot fail a deploy."""

from typing import Protocol

from celadon.events import Entry


class Sink(Protocol):
    def take(self, entry: Entry) -> None: ...

    def close(self) -> None: ...
