"""`celadon config`"""

from pathlib import Path

import click

from celadon.cli.context import load
from celadon.cli.options import config_option


@click.command("config")
@config_option
@click.option("--schema", is_flag=True, help="Print the JSON Schema of celadon.toml instead.")
def command(config: Path, schema: bool) -> int:
    """Print what is in force, defaults marked; or every mistake with its line."""
    if schema:
        import json

        from celadon.config.schema import render_schema

        click.echo(json.dumps(render_schema(), indent=2))
        return 0
    from celadon.config.show import render_in_force

    loaded, _ = load(config)
    click.echo(render_in_force(loaded), nl=False)
    return 0
