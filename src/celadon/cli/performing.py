"""Carry out an order or follow somebody else's, as long as the terminal lasts; Ctrl-C detaches."""

import contextlib
import sys
from collections.abc import Iterator, Sequence

from celadon.app.order import Order
from celadon.app.verbs import follow_running, order_of, perform
from celadon.cli.exit_codes import exit_code_of
from celadon.contracts.sink import Sink
from celadon.host.layout import Layout
from celadon.model.names import OperationId
from celadon.model.plan import OperationKind, Outcome

DETACHED = 130


@contextlib.contextmanager
def detachable(layout: Layout, sinks: Sequence[Sink]) -> Iterator[None]:
    """Ctrl-C leaves with 130 and the way to come back; the operation goes on. Sinks are closed either way."""
    from celadon.cli.context import detach_message

    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"{detach_message(layout)}\n")
        raise SystemExit(DETACHED) from None
    finally:
        for sink in sinks:
            sink.close()


def perform_order(layout: Layout, order: Order, sinks: Sequence[Sink]) -> int:
    with detachable(layout, sinks):
        return exit_code_of(perform(order, sinks), order.kind)


def follow(layout: Layout, operation: OperationId, sinks: Sequence[Sink], *, lead: str) -> Outcome:
    """How somebody else's operation ended; one that dies is recovered."""
    outcome = follow_running(layout, operation, sinks)
    if outcome is not None:
        return outcome
    return perform(order_of(layout, OperationKind.RECOVER, lead=lead), sinks)
