"""`celadon deploy [REF]`"""

from pathlib import Path

import click

from celadon.cli.context import config_option, lead_option, load, make_sinks, output_options, yes_option


@click.command("deploy")
@click.argument("ref", required=False)
@config_option
@output_options
@lead_option
@yes_option
def command(ref: str | None, config: Path, as_json: bool, quiet: bool, lead: str | None, yes: bool) -> int:
    """Deploy the directory, a commit (REF) or a tar file.

    The candidate starts in the idle slot, is verified, gets the traffic, is watched; the old release stays hot
    until the new one has earned its place. Ctrl-C detaches.
    """
    from celadon.app.verbs import choose_source, find_lead, order_of
    from celadon.cli.performing import perform_order
    from celadon.model.plan import OperationKind

    loaded, layout = load(config)
    source = choose_source(loaded.settings, ref)
    order = order_of(layout, OperationKind.DEPLOY, lead=find_lead(lead), settings=loaded.settings, source=source)
    return perform_order(layout, order, make_sinks(as_json=as_json, quiet=quiet))
