"""One question to a slot."""

from typing import Protocol

from celadon.model.address import Address
from celadon.model.observed import Answer


class Probe(Protocol):
    def ask(self, address: Address, *, timeout_s: float) -> Answer:
        """Ask once. Never raises for what the app does; blocks at most `timeout_s`. Never follows a redirect."""
        ...

    def describe(self) -> str:
        """The question in words, as in `GET /health`."""
        ...
