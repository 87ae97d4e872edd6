"""`celadon attach`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for, make_sinks
from celadon.cli.options import app_options, output_options


@click.command("attach")
@app_options
@output_options
def command(config: Path, app_name: str | None, as_json: bool, quiet: bool) -> int:
    """Follow the running operation from its beginning. Ends with its exit code."""
    from celadon.app.verbs import find_lead, running_operation
    from celadon.cli.exit_codes import exit_code_of
    from celadon.cli.performing import detachable, follow
    from celadon.model.errors import RefusedError
    from celadon.model.plan import OperationKind

    layout = layout_for(config, app_name)
    operation = running_operation(layout)
    if operation is None:
        raise RefusedError(
            f"no operation of {layout.app} is running", code="nothing_runs", next_command="celadon history"
        )
    sinks = make_sinks(as_json=as_json, quiet=quiet)
    with detachable(layout, sinks):
        return exit_code_of(follow(layout, operation, sinks, lead=find_lead(None)), OperationKind.DEPLOY)
