"""`celadon history`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for
from celadon.cli.options import app_options, json_option


@click.command("history")
@app_options
@json_option
@click.option("-n", "count", type=click.IntRange(min=1), default=20, help="How many operations.")
def command(config: Path, app_name: str | None, as_json: bool, count: int) -> int:
    """Who did what, when, and how it ended; newest first."""
    import msgspec

    from celadon.app.catalogue import list_operations
    from celadon.sinks.tables import render_history

    operations = list_operations(layout_for(config, app_name), count=count)
    if as_json:
        for operation in operations:
            click.echo(msgspec.json.encode(operation).decode())
    else:
        click.echo(render_history(operations))
    return 0
