"""`celadon recover`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for, make_sinks
from celadon.cli.exit_codes import RECOVERED
from celadon.cli.options import app_options, output_options
from celadon.host.layout import Layout


@click.command("recover")
@app_options
@output_options
@click.option("--all", "every_app", is_flag=True, help="Every app whose last operation died. For the boot.")
def command(config: Path, app_name: str | None, as_json: bool, quiet: bool, every_app: bool) -> int:
    """Put right what an interrupted operation or a restart of the machine left. 14 when something was mended.

    With --all: 0 when everything could be put right, else the worst code of any app."""
    from celadon.app.verbs import find_lead, layouts_to_recover, order_of
    from celadon.cli.performing import perform_order
    from celadon.host.layout import default_root
    from celadon.model.plan import OperationKind

    def recover(layout: Layout) -> int:
        order = order_of(layout, OperationKind.RECOVER, lead=find_lead(None))
        return perform_order(layout, order, make_sinks(as_json=as_json, quiet=quiet))

    if not every_app:
        return recover(layout_for(config, app_name))
    codes = [recover(layout) for layout in layouts_to_recover(default_root())]
    return max((code for code in codes if code != RECOVERED), default=0)
