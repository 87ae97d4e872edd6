"""What a real HAProxy counts of its servers, beside what visitors got."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.app.compose import COUNTERS
from celadon.contracts.counters import Counters
from celadon.model.names import Slot
from celadon.model.observed import Counted
from tests.contract.haproxy_server import HAPROXY, HaproxyStage

pytestmark = pytest.mark.skipif(not Path(HAPROXY).exists(), reason="haproxy is not installed")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[HaproxyStage]:
    """Blue is routed."""
    stage = HaproxyStage(tmp_path)
    try:
        stage.proxy.install()
        assert stage.proxy.switch(Slot.BLUE, reached=lambda _: None).seen
        yield stage
    finally:
        stage.close()


def open_counters(stage: HaproxyStage) -> Counters:
    return COUNTERS[stage.settings.proxy.kind](stage.layout, stage.settings)


def read(counters: Counters) -> dict[Slot, Counted]:
    counts = counters.read()
    assert counts is not None
    return {counted.slot: counted for counted in counts}


def figures(counted: Counted) -> tuple[int, int, int]:
    return counted.requests_count, counted.failed_count, counted.client_errors_count


def visit(stage: HaproxyStage, *statuses: int) -> None:
    for status in statuses:
        stage.slots[Slot.BLUE].status = status
        stage.visit()


def test_every_answer_is_counted_once_and_by_its_kind(stage: HaproxyStage) -> None:
    """Nothing of what came before; then what came since the last look."""
    visit(stage, 200, 500)
    counters = open_counters(stage)
    visit(stage, 200, 200, 302, 404, 500, 503)
    assert figures(read(counters)[Slot.BLUE]) == (6, 2, 1)
    visit(stage, 500)
    found = read(counters)
    assert figures(found[Slot.BLUE]) == (1, 1, 0)
    assert figures(found[Slot.GREEN]) == (0, 0, 0)
    assert found[Slot.BLUE].over_s > 0


def test_a_visitor_who_got_haproxys_own_503_counts_as_failed(stage: HaproxyStage) -> None:
    """No slot answered it, and no answer was counted by its class."""
    counters = open_counters(stage)
    stage.slots[Slot.BLUE].close()
    assert stage.visit() == 503
    assert figures(read(counters)[Slot.BLUE]) == (1, 1, 0)


def test_a_look_that_is_left_in_the_log_is_no_visitor(stage: HaproxyStage) -> None:
    from celadon.drivers.proxies.left_line import leave_line

    counters, traffic = open_counters(stage), stage.proxy.traffic()
    assert leave_line(stage.layout, stage.settings.proxy)
    assert figures(read(counters)[Slot.BLUE]) == (0, 0, 0)
    stage._await(lambda: [hit.look for hit in traffic.read()] == ["preview"])
    traffic.close()


def test_a_reload_begins_a_new_count_and_loses_nothing_after_it(stage: HaproxyStage) -> None:
    counters = open_counters(stage)
    visit(stage, 200, 200, 200)
    assert figures(read(counters)[Slot.BLUE]) == (3, 0, 0)
    stage.reload()
    visit(stage, 200, 500)
    assert figures(read(counters)[Slot.BLUE]) == (2, 1, 0)


def test_a_haproxy_that_does_not_answer_tells_nothing(stage: HaproxyStage) -> None:
    """None, not zero: nobody may take it for a quiet site."""
    counters = open_counters(stage)
    stage.stop()
    assert counters.read() is None
