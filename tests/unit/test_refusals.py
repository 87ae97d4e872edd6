"""What stands in the way of a deploy before its first effect."""

import dataclasses
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.app.refusals import check_machine
from celadon.host.layout import Layout
from celadon.host.pointer import move_pointer, prepare_pointer
from celadon.model.errors import RefusedError
from celadon.model.names import AppName, OperationId, ReleaseNumber, Slot
from celadon.model.plan import Outcome
from celadon.model.release import Release, Source, SourceKind
from celadon.model.settings import Strategy
from tests.fakes.world import World, WorldReleases


class _Adopted(WorldReleases):
    def read(self, number: ReleaseNumber) -> Release:
        release = super().read(number)
        source = Source(kind=SourceKind.ADOPTED, location="")
        return replace(release, manifest=replace(release.manifest, source=source))


def test_what_could_not_be_started_again_is_not_stopped_first(tmp_path: Path) -> None:
    """Processes that were adopted without a unit: nobody knows how they are started."""
    layout = Layout(tmp_path, AppName("shop"))
    layout.home.mkdir(parents=True)
    prepare_pointer(layout.pointer)
    move_pointer(layout.pointer, Slot.BLUE)
    world = World(strategy=Strategy.STOP_FIRST)
    assert world.deploy(1) is Outcome.DONE
    ports = world.ports(OperationId("next"))
    check_machine(layout, world.make_settings(), ports, journal=ports.journal)
    adopted = dataclasses.replace(ports, releases=_Adopted(world))
    with pytest.raises(RefusedError, match="adopted without a unit"):
        check_machine(layout, world.make_settings(), adopted, journal=ports.journal)
