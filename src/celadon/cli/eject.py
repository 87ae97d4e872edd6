"""`celadon eject`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for
from celadon.cli.options import app_options, lead_option, output_options, yes_option


@click.command("eject")
@app_options
@output_options
@lead_option
@yes_option
def command(config: Path, app_name: str | None, as_json: bool, quiet: bool, lead: str | None, yes: bool) -> int:
    """Leave: the proxy serves the site from the live slot's address by plain files, and the app runs on.

    The change is shown as a diff first. Releases and the journal stay on disk.
    """
    from celadon.cli.handing_over import eject

    return eject(layout_for(config, app_name), lead=lead, yes=yes, as_json=as_json, quiet=quiet)
