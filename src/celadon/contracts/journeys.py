"""A scripted user path, asked of one slot."""

from typing import Protocol

from celadon.model.address import Address
from celadon.model.journeys import Journey
from celadon.model.observed import Answer


class Journeys(Protocol):
    def ask(self, journey: Journey, address: Address) -> Answer:
        """All steps in order, up to the first that fails: the `reason` names it, with what was expected and seen.
        Never raises for what the app does; blocks at most the journey's `timeout_s`. Never follows a redirect."""
        ...
