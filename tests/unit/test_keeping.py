"""Apps where streams linger: what is recovered at boot, and what is refused meanwhile."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.app.inforce import write_in_force
from celadon.app.operation import run_operation
from celadon.app.verbs import layouts_to_recover, order_of
from celadon.events import LingeringBegan, OperationEnded, OperationStarted
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.model.connections import KindCounts
from celadon.model.names import AppName, OperationId, ReleaseNumber, Slot
from celadon.model.plan import OperationKind, Outcome
from celadon.model.settings import RunnerKind
from celadon.store.journal import open_journal
from tests.fakes.world import make_settings


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Of an app under systemd, whose r1 was left to its streams."""
    layout = Layout(tmp_path, AppName("shop"))
    layout.home.mkdir(parents=True)
    settings = make_settings()
    write_in_force(layout, replace(settings, web=replace(settings.web, runner=RunnerKind.SYSTEMD)))
    left = KindCounts(streams_count=1)
    open_journal(layout.journal, app=layout.app, operation=OperationId("op")).append(
        OperationStarted(kind=OperationKind.FINALIZE, lead="ada", pid=1),
        LingeringBegan(slot=Slot.BLUE, release=ReleaseNumber(1), left=left, since_s=0.0, limit_s=60.0),
        OperationEnded(outcome=Outcome.DONE, route=Slot.GREEN),
    )
    return layout


def test_the_boot_goes_to_an_app_whose_streams_nobody_watches(layout: Layout) -> None:
    """Systemd starts its live slot; that the other one is gone, or nobody's, only we know."""
    assert layouts_to_recover(layout.root) == [layout]
    watching = AppLock(layout.keeping)
    watching.acquire(holder="celadon", operation=OperationId("keep"), purpose="keep")
    assert layouts_to_recover(layout.root) == []
    watching.release()


def test_a_site_is_not_given_back_while_streams_linger(layout: Layout) -> None:
    """Nobody would be left to end them."""
    order = order_of(layout, OperationKind.EJECT, lead="ada")
    assert run_operation(order) is Outcome.REFUSED
    assert layout.settings.exists()
