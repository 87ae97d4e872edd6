"""`celadon restart`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for, make_sinks
from celadon.cli.options import app_options, lead_option, output_options, spare_option


@click.command("restart")
@app_options
@output_options
@lead_option
@spare_option
def command(
    config: Path, app_name: str | None, as_json: bool, quiet: bool, lead: str | None, spare_streams: bool
) -> int:
    """Start the live release afresh in the other slot, without downtime.

    A deploy of what is live: verified, switched, watched as any other, with the environment that it has. Nothing is
    built and celadon.toml is not read.
    """
    from celadon.app.verbs import find_lead, order_of
    from celadon.cli.performing import perform_order
    from celadon.model.plan import OperationKind

    layout = layout_for(config, app_name)
    order = order_of(layout, OperationKind.RESTART, lead=find_lead(lead), spares_streams=spare_streams)
    return perform_order(layout, order, make_sinks(as_json=as_json, quiet=quiet))
