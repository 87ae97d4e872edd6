"""`celadon preview`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for
from celadon.cli.options import app_options, json_option


@click.command("preview")
@app_options
@json_option
def command(config: Path, app_name: str | None, as_json: bool) -> int:
    """How to reach the slot that is not live, through the real proxy: a header and a cookie. Keep them secret."""
    import msgspec

    from celadon.app.preview import read_preview
    from celadon.sinks.tables import render_preview_access

    access = read_preview(layout_for(config, app_name))
    click.echo(msgspec.json.encode(access).decode() if as_json else render_preview_access(access))
    return 0
