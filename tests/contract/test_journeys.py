"""Both kinds of journey, as the table of kinds gives them."""

import sys

import pytest

from celadon.drivers.journeys.table import JourneysByKind
from celadon.model.journeys import Expectation, Journey, JourneyStep
from tests.contract.journey_promises import JourneyPromises
from tests.fakes.world import make_settings

_SCRIPT = """
import os, urllib.request
page = urllib.request.urlopen(os.environ["CELADON_URL"] + "/" + os.environ["CELADON_RUN"]).read()
assert page == b"well", page
"""


class HttpStage:
    def __init__(self) -> None:
        self.journeys = JourneysByKind(make_settings(), new_look=dict)

    def make(self, *, timeout_s: float) -> Journey:
        step = JourneyStep(path="/{run}", expect=Expectation(body_contains=("well",)))
        return Journey(name="look", steps=(step,), timeout_s=timeout_s)


class CommandStage(HttpStage):
    def make(self, *, timeout_s: float) -> Journey:
        command = f"exec {sys.executable} -I -S -c '{_SCRIPT}'"
        return Journey(name="look", command=command, timeout_s=timeout_s)


class TestHttpJourneys(JourneyPromises):
    @pytest.fixture
    def stage(self) -> HttpStage:
        return HttpStage()


class TestCommandJourneys(JourneyPromises):
    @pytest.fixture
    def stage(self) -> CommandStage:
        return CommandStage()
