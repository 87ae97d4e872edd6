"""`celadon status`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for
from celadon.cli.options import app_options, json_option


@click.command("status")
@app_options
@json_option
def command(config: Path, app_name: str | None, as_json: bool) -> int:
    """What is observed now: the route, both slots, a running operation."""
    import msgspec

    from celadon.app.status import observe_status
    from celadon.sinks.status import render_status

    status = observe_status(layout_for(config, app_name))
    click.echo(msgspec.json.encode(status).decode() if as_json else render_status(status))
    return 0
