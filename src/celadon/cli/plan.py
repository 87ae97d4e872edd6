"""`celadon plan [REF]`"""

from pathlib import Path

import click

from celadon.cli.context import load
from celadon.cli.options import config_option, json_option


@click.command("plan")
@click.argument("ref", required=False)
@config_option
@json_option
def command(ref: str | None, config: Path, as_json: bool) -> int:
    """What a deploy would do now, and whether it could be rolled back. Touches nothing."""
    import msgspec

    from celadon.app.checks import plan_deploy
    from celadon.app.verbs import choose_source
    from celadon.sinks.tables import render_preview

    loaded, layout = load(config)
    preview = plan_deploy(layout, loaded.settings, choose_source(loaded.settings, ref))
    click.echo(msgspec.json.encode(preview).decode() if as_json else render_preview(preview))
    return 13 if preview.refusals else 0
