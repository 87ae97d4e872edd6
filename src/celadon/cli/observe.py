"""`celadon observe`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for
from celadon.cli.options import app_options, output_options, read_window


@click.command("observe")
@app_options
@output_options
@click.option("--dry-run", is_flag=True, required=True, help="Judge and do nothing. Only a deploy acts on a verdict.")
@click.option("--window", metavar="DURATION", help='As "2m". Default: observe.window.')
def command(config: Path, app_name: str | None, as_json: bool, quiet: bool, dry_run: bool, window: str | None) -> int:
    """Judge the release that is live now, as a window that opened this moment would; nothing is moved or recorded."""
    import msgspec

    from celadon.app.trying import judge_live_slot
    from celadon.sinks.verdict import render_verdict
    from celadon.sinks.wording import describe_event

    window_s = read_window(window)
    is_told = not (as_json or quiet)
    verdict = judge_live_slot(
        layout_for(config, app_name),
        window_s=window_s,
        tell=lambda sample: click.echo(describe_event(sample)) if is_told else None,
    )
    click.echo(msgspec.json.encode(verdict).decode() if as_json else render_verdict(verdict))
    return 0
