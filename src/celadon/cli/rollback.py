"""`celadon rollback [RELEASE]`"""

from pathlib import Path

import click

from celadon.cli.context import app_options, layout_for, lead_option, make_sinks, output_options, yes_option


@click.command("rollback")
@click.argument("release", required=False)
@app_options
@output_options
@lead_option
@yes_option
def command(
    release: str | None, config: Path, app_name: str | None, as_json: bool, quiet: bool, lead: str | None, yes: bool
) -> int:
    """Put the previous release (or RELEASE) back. Never builds.

    During a window the old slot is hot: the route moves back at once. Later the release is started again,
    verified, switched and observed.
    """
    from celadon.app.verbs import find_lead, order_of, request_of_running, running_operation
    from celadon.cli.performing import follow, perform_order
    from celadon.model.names import parse_release_label
    from celadon.model.plan import OperationKind, Request

    layout, who = layout_for(config, app_name), find_lead(lead)
    try:
        number = parse_release_label(release) if release is not None else None
    except ValueError as error:
        raise click.UsageError(f"{error}. Nothing was changed.") from error
    sinks = make_sinks(as_json=as_json, quiet=quiet)
    if number is None and running_operation(layout) is not None:
        operation = request_of_running(layout, Request.ABORT, by=who)
        return follow(layout, operation, sinks, kind=OperationKind.ROLLBACK, lead=who)
    return perform_order(layout, order_of(layout, OperationKind.ROLLBACK, lead=who, release=number), sinks)
