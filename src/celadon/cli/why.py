"""`celadon why`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for
from celadon.cli.options import app_options, json_option


@click.command("why")
@click.argument("deploy", required=False)
@app_options
@json_option
def command(deploy: str | None, config: Path, app_name: str | None, as_json: bool) -> int:
    """Why a deploy ended as it did: verdict, numbers, curve of evidence, failing routes, what to do next.

    DEPLOY is a release (r12) or an operation's id, as `celadon history --json` has it. Default: the newest.
    """
    import msgspec

    from celadon.app.why import read_why
    from celadon.sinks.why import render_why

    why = read_why(layout_for(config, app_name), deploy)
    click.echo(msgspec.json.encode(why).decode() if as_json else render_why(why))
    return 0
