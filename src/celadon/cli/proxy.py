"""`celadon proxy log | diff | show | accept | restore`"""

from collections.abc import Sequence
from pathlib import Path

import click

from celadon.cli.context import layout_for, load
from celadon.cli.options import app_options, json_option, lead_option

files_argument = click.argument("files", nargs=-1, metavar="[FILE]...")


@click.group("proxy")
def command() -> None:
    """The files that celadon writes for the proxy: their history, and edits by hand.

    They are kept in a git repository, one commit a change. An edit by hand stops the next deploy until it is accepted
    or restored.
    """


@command.command("log")
@app_options
@json_option
@click.option("-n", "count", type=click.IntRange(min=1), default=20, help="How many changes.")
def log(config: Path, app_name: str | None, as_json: bool, count: int) -> int:
    """One line a change, newest first: when, release, lead, what and why."""
    import msgspec

    from celadon.app.ownership import list_changes
    from celadon.sinks.changes import render_changes

    changes = list_changes(layout_for(config, app_name), count=count)
    if as_json:
        for change in changes:
            click.echo(msgspec.json.encode(change).decode())
    else:
        click.echo(render_changes(changes))
    return 0


@command.command("show")
@app_options
@click.argument("revision", default="HEAD")
def show(config: Path, app_name: str | None, revision: str) -> int:
    """One change: who, why, and the diff. REVISION is of `celadon proxy log`, or a release."""
    from celadon.app.ownership import show_change

    click.echo(show_change(layout_for(config, app_name), revision), nl=False)
    return 0


@command.command("diff")
@app_options
def diff(config: Path, app_name: str | None) -> int:
    """Edits by hand, and what the next deploy would write. 13 when a deploy would be refused."""
    from celadon.app.ownership import compare
    from celadon.sinks.changes import render_differences

    layout = layout_for(config, app_name)
    wanted = load(config)[0].settings if config.is_file() else None
    found = compare(layout, wanted)
    click.echo(
        render_differences(edited=found.edited, pending=found.pending, accepted=found.accepted, conflict=found.conflict)
    )
    return 13 if found.edited or found.conflict else 0


@command.command("accept")
@app_options
@lead_option
@files_argument
def accept_files(config: Path, app_name: str | None, lead: str | None, files: tuple[str, ...]) -> int:
    """Keep edits by hand: they are carried over into every later version of the file.

    The proxy checks and loads them. Without FILE: all there are."""
    from celadon.app.ownership import accept
    from celadon.app.verbs import find_lead

    accepted = accept(layout_for(config, app_name), files, lead=find_lead(lead))
    return _tell("Accepted", accepted)


@command.command("restore")
@app_options
@lead_option
@files_argument
def restore_files(config: Path, app_name: str | None, lead: str | None, files: tuple[str, ...]) -> int:
    """Undo edits by hand: what celadon wrote is put back, checked and loaded by the proxy.

    Without FILE: all that are not accepted; where there are none, all that are. What is undone is kept aside and in
    `celadon proxy log`."""
    from celadon.app.ownership import restore
    from celadon.app.verbs import find_lead

    restored = restore(layout_for(config, app_name), files, lead=find_lead(lead))
    return _tell("Restored", restored)


def _tell(done: str, files: Sequence[Path]) -> int:
    click.echo("\n".join(f"{done} {path}" for path in files) or "Nothing was edited by hand.")
    return 0
