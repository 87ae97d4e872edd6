"""Carry out an order while following it; Ctrl-C detaches."""

from collections.abc import Sequence

import click

from celadon.app.order import Order
from celadon.app.verbs import follow_running, order_of, perform
from celadon.cli.exit_codes import exit_code_of
from celadon.contracts.sink import Sink
from celadon.host.layout import Layout
from celadon.model.names import OperationId
from celadon.model.plan import OperationKind

DETACHED = 130


def perform_order(layout: Layout, order: Order, sinks: Sequence[Sink]) -> int:
    from celadon.cli.context import detach_message

    try:
        return exit_code_of(perform(order, sinks), order.kind)
    except KeyboardInterrupt:
        click.echo(detach_message(layout), err=True)
        return DETACHED
    finally:
        close(sinks)


def follow(layout: Layout, operation: OperationId, sinks: Sequence[Sink], *, kind: OperationKind, lead: str) -> int:
    """Follow somebody else's operation; recover it when it dies."""
    from celadon.cli.context import detach_message

    try:
        outcome = follow_running(layout, operation, sinks)
        if outcome is None:
            return perform_order(layout, order_of(layout, OperationKind.RECOVER, lead=lead), sinks)
        return exit_code_of(outcome, kind)
    except KeyboardInterrupt:
        click.echo(detach_message(layout), err=True)
        return DETACHED
    finally:
        close(sinks)


def close(sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        sink.close()
