"""`celadon rollback [RELEASE]`"""

from typing import Any

import click

from celadon.cli.going_back import RollbackWords, go_back
from celadon.cli.options import app_options, lead_option, output_options, yes_option


@click.command("rollback")
@click.argument("release", required=False)
@app_options
@output_options
@lead_option
@yes_option
def command(**words: Any) -> int:
    """Put the previous release (or RELEASE) back. Never builds.

    During a window the old slot is hot: the route moves back at once. Later the release is started again,
    verified, switched and observed. A deploy that is running is asked to go back first.
    """
    return go_back(RollbackWords(**words))
