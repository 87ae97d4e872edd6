"""Journeys by what they are made of."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from celadon.model.journeys import Journey
from celadon.model.observed import Answer
from celadon.model.place import Place
from celadon.model.settings import Settings


class JourneysByKind(Struct, frozen=True):
    """Implements contracts.journeys.Journeys. What asks is loaded when it is first needed, not on the way of a
    rollback."""

    settings: Settings
    new_look: Callable[[], Mapping[str, str]]

    def ask(self, journey: Journey, place: Place) -> Answer:
        from celadon.drivers.journeys.http import HttpJourneys

        proxy = self.settings.proxy
        return HttpJourneys(site=proxy.site, listen=proxy.listen, new_look=self.new_look).ask(journey, place)
