"""`celadon releases`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for
from celadon.cli.options import app_options, json_option


@click.command("releases")
@app_options
@json_option
def command(config: Path, app_name: str | None, as_json: bool) -> int:
    """The kept releases, newest first, with what each was made of and whether it could be rolled back to."""
    import msgspec

    from celadon.app.catalogue import list_releases
    from celadon.sinks.tables import render_releases

    kept = list_releases(layout_for(config, app_name))
    click.echo(msgspec.json.encode(kept).decode() if as_json else render_releases(kept))
    return 0
