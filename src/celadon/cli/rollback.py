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
    verified, switched and observed. A deploy that is running is asked to go back first.
    """
    from celadon.app.verbs import ask_deploy_back, find_lead, order_of
    from celadon.cli.exit_codes import exit_code_of
    from celadon.cli.performing import detachable, follow, perform_order
    from celadon.model.names import parse_release_label
    from celadon.model.plan import OperationKind, Outcome

    layout, who = layout_for(config, app_name), find_lead(lead)
    try:
        number = parse_release_label(release) if release is not None else None
    except ValueError as error:
        raise click.UsageError(f"{error}. Nothing was changed.") from error
    sinks = make_sinks(as_json=as_json, quiet=quiet)
    running = ask_deploy_back(layout, by=who) if number is None else None
    if running is not None:
        with detachable(layout, sinks):
            outcome = follow(layout, running, sinks, lead=who)
        if outcome in {Outcome.ROLLED_BACK, Outcome.REJECTED}:
            return 0
        if outcome not in {Outcome.DONE, Outcome.UNBLESSED}:
            return exit_code_of(outcome, OperationKind.ROLLBACK)
    return perform_order(layout, order_of(layout, OperationKind.ROLLBACK, lead=who, release=number), sinks)
