"""`celadon abort`"""

from pathlib import Path

import click

from celadon.cli.context import layout_for, make_sinks
from celadon.cli.options import app_options, lead_option, output_options


@click.command("abort")
@app_options
@output_options
@lead_option
def command(config: Path, app_name: str | None, as_json: bool, quiet: bool, lead: str | None) -> int:
    """Stop the running deploy safely, whatever step it is in.

    Before the switch the candidate goes; after it the route goes back first. After the bless it is too late: use
    rollback.
    """
    from celadon.app.verbs import find_lead, request_of_running
    from celadon.cli.exit_codes import exit_code_of
    from celadon.cli.performing import detachable, follow
    from celadon.model.errors import RefusedError
    from celadon.model.plan import OperationKind, Outcome, Request

    layout, who = layout_for(config, app_name), find_lead(lead)
    operation = request_of_running(layout, Request.ABORT, by=who)
    sinks = make_sinks(as_json=as_json, quiet=quiet)
    with detachable(layout, sinks):
        outcome = follow(layout, operation, sinks, lead=who)
    if outcome in {Outcome.DONE, Outcome.UNBLESSED}:
        raise RefusedError("too late: it had ended its window", code="too_late", next_command="celadon rollback")
    return exit_code_of(outcome, OperationKind.DEPLOY)
