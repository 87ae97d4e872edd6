"""Real deaths around a WebSocket that outlives its deploy, behind a real nginx: as it begins to linger, where its place
is needed, on the way back to it, and at its end.

Every point of these is passed in tests/crash/test_lingering_deaths.py; here are those where something outside acts.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.app.status import observe_status
from celadon.model.observed import SlotStatus
from celadon.model.plan import OperationKind
from tests.crash.killing import KILLED, RECOVERED, arm, list_litter, open_site_to_kill, operate
from tests.e2e.site import Site
from tests.e2e.site_proxies import NGINX
from tests.e2e.test_drain import ABRUPT, read_to_end, websocket
from tests.e2e.test_lingering import talks

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    extra = f'idle = "close-after 0s"\nstreams = "linger 1h"\n{ABRUPT}'
    with open_site_to_kill(tmp_path_factory.mktemp("kills"), extra=extra) as opened:
        yield opened


def deploy(site: Site, version: str, *, dies_at: str = "") -> int:
    site.write_version(version)
    return operate(site, OperationKind.DEPLOY, env=arm(dies_at) if dies_at else None)


def begin(site: Site, version: str) -> socket.socket:
    """`version` is live, and a stream of what was live before lingers."""
    stream = websocket(site)
    assert deploy(site, version) == 0
    assert_stream_goes_on(site, stream, live=version)
    return stream


def assert_stream_goes_on(site: Site, stream: socket.socket, *, live: str) -> None:
    assert site.visit() == (200, live)
    assert talks(stream)
    seen = observe_status(site.layout)
    assert all(report.view.status is SlotStatus.RUNNING for report in seen.slots)
    assert seen.lingering is not None
    assert seen.lingering.streams_count == 1
    assert (seen.interrupted, list_litter(site)) == (False, [])


def assert_alone(site: Site, *, live: str) -> None:
    assert site.visit() == (200, live)
    seen = observe_status(site.layout)
    running = [report.view.slot for report in seen.slots if report.view.status is SlotStatus.RUNNING]
    assert (running, seen.lingering, seen.interrupted) == ([seen.route.slot], None, False)


@pytest.mark.parametrize("point", ["before_lingering", "lingering"])
def test_a_death_as_it_begins_costs_no_stream(site: Site, point: str) -> None:
    """The bless had been given: recovery goes forward, and past the slot that lives on."""
    stream = websocket(site)
    assert deploy(site, point, dies_at=point) == KILLED
    assert operate(site, OperationKind.RECOVER) == RECOVERED
    assert_stream_goes_on(site, stream, live=point)


@pytest.mark.parametrize(("point", "goes_on"), [("before_stop", True), ("after_stop", False)])
def test_a_death_of_a_deploy_that_needs_the_place(site: Site, point: str, *, goes_on: bool) -> None:
    """Streams live on until it has come to ending them."""
    stream = begin(site, f"old-{point}")
    assert deploy(site, f"new-{point}", dies_at=point) == KILLED
    assert operate(site, OperationKind.RECOVER) == RECOVERED
    if goes_on:
        assert_stream_goes_on(site, stream, live=f"old-{point}")
    else:
        read_to_end(stream)
        assert_alone(site, live=f"old-{point}")


@pytest.mark.parametrize("point", ["after_enable", "pointer_renamed"])
def test_a_death_on_the_way_back_to_it_still_goes_back(site: Site, point: str) -> None:
    """And its stream is one of the live slot's."""
    _, before = site.visit()
    stream = begin(site, f"bad-{point}")
    assert operate(site, OperationKind.ROLLBACK, env=arm(point)) == KILLED
    assert operate(site, OperationKind.RECOVER) == RECOVERED
    assert talks(stream)
    assert_alone(site, live=before)
    stream.close()


@pytest.mark.parametrize("point", ["before_stop", "after_stop"])
def test_a_death_at_its_end_leaves_it_to_the_next_operation(site: Site, point: str) -> None:
    """Which tells of its own end what it was."""
    stream = begin(site, f"end-{point}")
    assert operate(site, OperationKind.RETIRE, env=arm(point)) == KILLED
    assert site.visit() == (200, f"end-{point}")
    assert deploy(site, f"next-{point}") == 0
    read_to_end(stream)
    assert_alone(site, live=f"next-{point}")
