"""Journeys by what they are made of."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from celadon.contracts.journeys import Journeys
from celadon.model.journeys import Journey
from celadon.model.observed import Answer
from celadon.model.place import Place
from celadon.model.settings import Settings


class JourneysByKind(Struct, frozen=True):
    """Implements contracts.journeys.Journeys. What asks is loaded when it is first needed, not on the way of a
    rollback. `new_look` marks a request through the proxy as ours; a command is the app's own and never sees it."""

    settings: Settings
    new_look: Callable[[], Mapping[str, str]]

    def ask(self, journey: Journey, place: Place) -> Answer:
        return self._pick(journey).ask(journey, place)

    def _pick(self, journey: Journey) -> Journeys:
        site, listen = self.settings.proxy.site, self.settings.proxy.listen
        if journey.command:
            from celadon.drivers.journeys.command import CommandJourneys

            return CommandJourneys(site=site, listen=listen, user=self.settings.user)
        from celadon.drivers.journeys.http import HttpJourneys

        return HttpJourneys(site=site, listen=listen, new_look=self.new_look)
