"""A scripted user path, run once."""

from typing import Protocol

from celadon.model.journeys import Journey
from celadon.model.observed import Answer
from celadon.model.place import Place


class Journeys(Protocol):
    def ask(self, journey: Journey, place: Place) -> Answer:
        """All steps in order, up to the first that fails: the `reason` names it, with what was expected and seen; or
        the command, of which nothing is left then. Never raises for what the app does; blocks at most the journey's
        `timeout_s`. HTTP steps follow no redirect, and through the proxy none counts as a visitor's request."""
        ...
