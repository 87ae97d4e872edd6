"""An app that ran before us, taken as what runs in a slot: real processes that somebody else started."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.drivers.releases.adopting import keep_adopted
from celadon.drivers.releases.store import ReleaseStore
from celadon.drivers.runners.adopted import AdoptedRunner, adopt_running, read_adopted
from celadon.host.processes import identify
from celadon.host.units import Keeper, parse_keeper
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import SlotStatus
from celadon.model.release import Fate, SourceKind
from tests.contract.runner_promises import SLEEPER, await_line
from tests.contract.test_runner_process import ProcessStage

R1 = ReleaseNumber(1)
PARENT = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
    "print('up', flush=True)\ntime.sleep(600)\n"
)


class AdoptedStage(ProcessStage):
    """A parent with one child runs in blue, started by this test as its own session."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.app = subprocess.Popen(
            [sys.executable, "-S", "-c", PARENT], stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        assert self.app.stdout is not None
        assert self.app.stdout.readline() == "up\n"
        adopt_running(self.layout, Slot.BLUE, release=R1, unit="", pids=[self.app.pid])
        keep_adopted(self.layout, R1, settings=self.settings, unit="", lead="ada")
        self.adopted = AdoptedRunner(self.layout, self.runner)
        self.store = ReleaseStore(self.layout, owner=None)

    def close(self) -> None:
        for slot in Slot:
            self.adopted.stop(slot, grace_s=0.1)
            self.runner.stop(slot, grace_s=0.1)
        self.app.wait(timeout=10)
        if self.app.stdout is not None:
            self.app.stdout.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[AdoptedStage]:
    made = AdoptedStage(tmp_path)
    yield made
    made.close()


def test_what_runs_is_observed_with_its_children(stage: AdoptedStage) -> None:
    """All of it belongs to the slot: identity is checked against these, and they are what is stopped."""
    view = stage.adopted.observe(Slot.BLUE)
    assert (view.status, view.release) == (SlotStatus.RUNNING, 1)
    assert stage.app.pid in view.pids
    assert len(view.pids) == 2
    assert view.rss_bytes > 0


def test_adopting_touches_no_process(stage: AdoptedStage) -> None:
    """The one thing that an adoption must never do is a restart."""
    before = identify(stage.app.pid)
    stage.adopted.set_boot(Slot.BLUE, enabled=True)
    stage.adopted.start(Slot.BLUE, stage.store.read(R1))
    assert before is not None
    assert identify(stage.app.pid) == before


def test_it_is_stopped_whole_and_stays_stopped(stage: AdoptedStage) -> None:
    """As any slot is, when a later release has been blessed."""
    pids = stage.adopted.observe(Slot.BLUE).pids
    stage.adopted.stop(Slot.BLUE, grace_s=5.0)
    stage.app.wait(timeout=10)
    assert [pid for pid in pids if identify(pid) is not None] == []
    assert stage.adopted.observe(Slot.BLUE).status is SlotStatus.STOPPED


def test_one_that_ends_by_itself_has_exited(stage: AdoptedStage) -> None:
    """Not stopped: nobody asked for it."""
    os.killpg(stage.app.pid, 9)
    stage.app.wait(timeout=10)
    deadline = time.monotonic() + 10
    while stage.adopted.observe(Slot.BLUE).pids and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stage.adopted.observe(Slot.BLUE).status is SlotStatus.EXITED


def test_the_next_release_in_its_slot_is_ours(stage: AdoptedStage) -> None:
    """From then on nothing of the adoption is left."""
    stage.adopted.stop(Slot.BLUE, grace_s=5.0)
    view = stage.adopted.start(Slot.BLUE, stage.make_release(3, SLEEPER))
    assert view.release == 3
    await_line(stage.adopted, Slot.BLUE, "up")
    assert read_adopted(stage.layout) == {}
    assert stage.adopted.observe(Slot.BLUE).pids == stage.runner.observe(Slot.BLUE).pids


def test_the_other_slot_is_ours_all_along(stage: AdoptedStage) -> None:
    """The first deploy goes there, beside what was adopted."""
    stage.adopted.start(Slot.GREEN, stage.make_release(2, SLEEPER))
    await_line(stage.adopted, Slot.GREEN, "up")
    assert stage.adopted.observe(Slot.GREEN).release == 2
    assert stage.adopted.observe(Slot.BLUE).status is SlotStatus.RUNNING


def test_what_nobody_knows_how_to_start_is_not_started(stage: AdoptedStage) -> None:
    """Plain processes have no unit: said so, and nothing is run instead."""
    stage.adopted.stop(Slot.BLUE, grace_s=5.0)
    with pytest.raises(StepError) as caught:
        stage.adopted.start(Slot.BLUE, stage.store.read(R1))
    assert caught.value.code == "adopted_not_startable"


def test_it_never_runs_in_the_other_slot(stage: AdoptedStage) -> None:
    """Its address is its own."""
    with pytest.raises(StepError) as caught:
        stage.adopted.start(Slot.GREEN, stage.store.read(R1))
    assert caught.value.code == "adopted_elsewhere"


def test_an_adopted_release_is_whole_and_says_what_it_is(stage: AdoptedStage) -> None:
    """It is verified, marked and pruned like any other."""
    release = stage.store.read(R1)
    assert release.manifest.source.kind is SourceKind.ADOPTED
    assert stage.store.verify(release) is None
    stage.store.mark(release, Fate.BLESSED)
    assert stage.store.read(R1).fate is Fate.BLESSED


@pytest.mark.parametrize(
    ("groups", "keeper"),
    [
        (["/system.slice/shop.service"], Keeper(unit="shop.service")),
        (["/", "/system.slice/shop.service"], Keeper(unit="shop.service")),
        (["/system.slice/system-shop.slice/shop@1.service"], Keeper(unit="shop@1.service")),
        (["/system.slice/docker-0123abcd.scope"], Keeper(container="docker-0123abcd.scope")),
        (["/docker/0123abcd"], Keeper(container="0123abcd")),
        (["/machine.slice/libpod-0123abcd.scope/container"], Keeper(container="libpod-0123abcd.scope")),
        (["/user.slice/user-1000.slice/session-3.scope"], Keeper()),
        (["/init.scope"], Keeper()),
        ([], Keeper()),
    ],
)
def test_a_control_group_tells_who_keeps_a_process(groups: list[str], keeper: Keeper) -> None:
    """A unit may be stopped and started by its name; a container is its engine's."""
    assert parse_keeper(groups) == keeper
