"""`celadon deploy [REF]`"""

import sys
from pathlib import Path

import click

from celadon.cli.context import load, make_sinks
from celadon.cli.options import config_option, lead_option, output_options, spare_option, yes_option
from celadon.host.layout import Layout
from celadon.model.errors import UsageError
from celadon.model.release import Source, SourceKind
from celadon.model.settings import Settings

LIVE_RELEASE = Source(kind=SourceKind.RELEASE, location="")


@click.command("deploy")
@click.argument("ref", required=False)
@config_option
@output_options
@lead_option
@yes_option
@spare_option
@click.option("--env-only", is_flag=True, help="The live release with the environment of today, and nothing else.")
def command(
    ref: str | None,
    config: Path,
    as_json: bool,
    quiet: bool,
    lead: str | None,
    yes: bool,
    spare_streams: bool,
    env_only: bool,
) -> int:
    """Deploy the directory, a commit (REF) or a tar file.

    The candidate starts in the idle slot, is verified, gets the traffic, is watched; the old release stays hot
    until the new one has earned its place. Ctrl-C detaches. On a terminal a change of the proxy's files is shown and
    asked for first, and so is the end of streams that an older release still holds; -y answers yes.

    --env-only copies the live release's files, builds nothing, and takes of celadon.toml the environment alone.
    """
    from celadon.app.verbs import choose_source, find_lead, order_of
    from celadon.cli.performing import perform_order
    from celadon.model.plan import OperationKind

    loaded, layout = load(config)
    if env_only and ref is not None:
        text = f"--env-only takes the code that is live, not {ref!r}; nothing was changed"
        raise UsageError(text, code="env_only", next_command="celadon deploy --help")
    source = LIVE_RELEASE if env_only else choose_source(loaded.settings, ref)
    if not (yes or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
        if not env_only:
            _ask_for_proxy_changes(layout, loaded.settings)
        if not spare_streams:
            _ask_for_streams(layout)
    order = order_of(
        layout,
        OperationKind.DEPLOY,
        lead=find_lead(lead),
        settings=loaded.settings,
        source=source,
        spares_streams=spare_streams,
    )
    return perform_order(layout, order, make_sinks(as_json=as_json, quiet=quiet))


def _ask_for_proxy_changes(layout: Layout, settings: Settings) -> None:
    """What nobody has seen is not put in front of a site. Raises RefusedError on a no."""
    from celadon.app.checks import find_proxy_changes
    from celadon.model.errors import RefusedError

    changes = find_proxy_changes(layout, settings)
    if not changes:
        return
    click.echo("This deploy writes these files of the proxy and has it load them:\n")
    click.echo("\n".join(changes.values()))
    if not click.confirm("\nGo on?", default=True):
        raise RefusedError("the change of the proxy's files was declined", code="declined", next_command="celadon plan")


def _ask_for_streams(layout: Layout) -> None:
    """Raises RefusedError on a no."""
    from celadon.app.status import observe_lingering_now
    from celadon.model.errors import RefusedError
    from celadon.sinks.phrases import describe_lingering

    found = observe_lingering_now(layout)
    if found is None or not found.streams_count:
        return
    click.echo(f"{describe_lingering(found)}; this deploy ends them.")
    if not click.confirm("\nGo on?", default=True):
        raise RefusedError("the end of the streams was declined", code="declined", next_command="celadon status")
