"""`celadon adopt`"""

from pathlib import Path

import click

from celadon.cli.context import load
from celadon.cli.options import config_option, lead_option, output_options, yes_option


@click.command("adopt")
@config_option
@output_options
@lead_option
@yes_option
def command(config: Path, as_json: bool, quiet: bool, lead: str | None, yes: bool) -> int:
    """Take over the switching of a site that runs already, without restarting it.

    Finds the places in the proxy's configuration that send requests to blue's address, shows the smallest edit as a
    diff, and on a yes puts it in place: validated first, seen after, put back if not. What runs becomes the live
    release.
    """
    from celadon.cli.handing_over import adopt

    loaded, layout = load(config)
    return adopt(layout, loaded.settings, lead=lead, yes=yes, as_json=as_json, quiet=quiet)
