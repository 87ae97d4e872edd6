"""The end of a slot that lingered, which nobody asked for, is in nobody's way."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.app.operation import run_operation
from celadon.app.order import Order
from celadon.app.verbs import ask_deploy_back, order_of
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.model.errors import BusyError
from celadon.model.names import AppName, OperationId
from celadon.model.plan import OperationKind, Outcome

HELD_S = 0.3


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path, AppName("shop"))
    layout.home.mkdir(parents=True)
    return layout


@contextlib.contextmanager
def held(layout: Layout, kind: OperationKind) -> Iterator[AppLock]:
    lock = AppLock(layout.lock)
    lock.acquire(holder="celadon", operation=OperationId("other"), purpose=kind.value)
    yield lock
    lock.release()


def order(layout: Layout, kind: OperationKind) -> Order:
    return order_of(layout, kind, lead="ada")


def test_an_operation_waits_for_a_retirement(layout: Layout) -> None:
    """It is not told that somebody is busy."""
    with held(layout, OperationKind.RETIRE) as lock:
        threading.Timer(HELD_S, lock.release).start()
        assert run_operation(order(layout, OperationKind.RECOVER)) is Outcome.DONE


def test_a_command_waits_for_a_retirement_before_it_asks_who_is_busy(layout: Layout) -> None:
    """A rollback would else be told to try again by hand."""
    with held(layout, OperationKind.RETIRE) as lock:
        threading.Timer(HELD_S, lock.release).start()
        assert ask_deploy_back(layout, by="ada") is None


@pytest.mark.parametrize(
    ("kind", "holding"),
    [(OperationKind.RECOVER, OperationKind.DEPLOY), (OperationKind.RETIRE, OperationKind.RETIRE)],
)
def test_nothing_else_is_waited_for(layout: Layout, kind: OperationKind, holding: OperationKind) -> None:
    """And a retirement waits for none: it comes again."""
    with held(layout, holding):
        assert run_operation(order(layout, kind)) is Outcome.BUSY
    with held(layout, OperationKind.FINALIZE), pytest.raises(BusyError):
        ask_deploy_back(layout, by="ada")
