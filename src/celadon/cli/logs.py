"""`celadon logs`"""

import contextlib
from pathlib import Path

import click

from celadon.cli.context import layout_for
from celadon.cli.options import app_options


@click.command("logs")
@app_options
@click.option("--slot", type=click.Choice(["blue", "green"]), help="Default: the slot that is live.")
@click.option("--process", default="web", help="Another process of the app, as mail, or mail.2 of two; release.")
@click.option("-n", "count", type=click.IntRange(min=1), default=100, help="How many lines.")
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with what it writes, until Ctrl-C.")
def command(config: Path, app_name: str | None, slot: str | None, process: str, count: int, follows: bool) -> int:
    """The last lines that a slot's app wrote, or another process of it."""
    from celadon.app.catalogue import choose_slot, follow_slot, tail_slot, take_process
    from celadon.model.names import Slot

    layout = layout_for(config, app_name)
    chosen = Slot(slot) if slot else choose_slot(layout)
    layout = take_process(layout, process)
    lines = follow_slot(layout, chosen, lines_count=count) if follows else tail_slot(layout, chosen, lines_count=count)
    with contextlib.suppress(KeyboardInterrupt):
        for line in lines:
            click.echo(line)
    return 0
