"""`celadon recover`"""

from pathlib import Path

import click

from celadon.cli.context import app_options, layout_for, make_sinks, output_options


@click.command("recover")
@app_options
@output_options
def command(config: Path, app_name: str | None, as_json: bool, quiet: bool) -> int:
    """Put right what an interrupted operation or a restart of the machine left. 14 when something was mended."""
    from celadon.app.verbs import find_lead, order_of
    from celadon.cli.performing import perform_order
    from celadon.model.plan import OperationKind

    layout = layout_for(config, app_name)
    order = order_of(layout, OperationKind.RECOVER, lead=find_lead(None))
    return perform_order(layout, order, make_sinks(as_json=as_json, quiet=quiet))
