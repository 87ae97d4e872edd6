"""`celadon logs`"""

from pathlib import Path

import click

from celadon.cli.context import app_options, layout_for


@click.command("logs")
@app_options
@click.option("--slot", type=click.Choice(["blue", "green"]), help="Default: the slot that is live.")
@click.option("-n", "count", type=click.IntRange(min=1), default=100, help="How many lines.")
def command(config: Path, app_name: str | None, slot: str | None, count: int) -> int:
    """The last lines that a slot's app wrote."""
    from celadon.app.catalogue import tail_slot
    from celadon.model.names import Slot

    for line in tail_slot(layout_for(config, app_name), Slot(slot) if slot else None, lines_count=count):
        click.echo(line)
    return 0
