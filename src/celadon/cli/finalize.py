"""`celadon finalize`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for, make_sinks
from celadon.cli.options import app_options, lead_option, output_options


@click.command("finalize")
@app_options
@output_options
@lead_option
def command(config: Path, app_name: str | None, as_json: bool, quiet: bool, lead: str | None) -> int:
    """Bless the candidate now and retire the old slot: ends an open window, or settles a deploy that waits. Where an
    older release lives on for its streams, it ends now."""
    from celadon.app.verbs import await_retirement, find_lead, order_of, request_of_running, running_operation
    from celadon.cli.exit_codes import exit_code_of
    from celadon.cli.performing import detachable, follow, perform_order
    from celadon.model.plan import OperationKind, Request

    layout, who = layout_for(config, app_name), find_lead(lead)
    sinks = make_sinks(as_json=as_json, quiet=quiet)
    await_retirement(layout)
    if running_operation(layout) is not None:
        operation = request_of_running(layout, Request.FINALIZE, by=who)
        with detachable(layout, sinks):
            return exit_code_of(follow(layout, operation, sinks, lead=who), OperationKind.DEPLOY)
    return perform_order(layout, order_of(layout, OperationKind.FINALIZE, lead=who), sinks)
