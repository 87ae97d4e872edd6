"""What is known of an app's earlier traffic outlives the operation that counted it, and its damage stops nothing."""

from pathlib import Path

import pytest

from celadon.host.layout import Layout
from celadon.model.baseline import Baseline, Minute, RouteCount
from celadon.model.names import AppName
from celadon.store.baseline import read_baseline, write_baseline


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path, AppName("shop"))
    layout.home.mkdir(parents=True)
    return layout


BASELINE = Baseline(minutes=(Minute(29_000_000, {"GET /": RouteCount(60, 1)}, {10: 59, 12: 1}),))


def test_a_baseline_is_read_as_it_was_written(layout: Layout) -> None:
    assert read_baseline(layout) is None
    write_baseline(layout, BASELINE)
    assert read_baseline(layout) == BASELINE


@pytest.mark.parametrize("damaged", [b"", b'{"minutes":[[1,{"GET /"', b"\xff\xfe", b'{"minutes":[["x",{},{}]]}'])
def test_a_damaged_baseline_is_set_aside_and_a_new_one_takes_its_place(layout: Layout, damaged: bytes) -> None:
    layout.baseline.write_bytes(damaged)
    assert read_baseline(layout) is None
    assert layout.baseline.with_name("baseline.json.damaged").read_bytes() == damaged
    write_baseline(layout, BASELINE)
    assert read_baseline(layout) == BASELINE
