"""`celadon check`"""

from pathlib import Path

import click

from celadon.cli.context import load
from celadon.cli.options import config_option, json_option


@click.command("check")
@config_option
@json_option
def command(config: Path, as_json: bool) -> int:
    """Look at the machine and the proxy; touch nothing. 13 when a deploy would be refused."""
    import msgspec

    from celadon.app.checks import check_all
    from celadon.model.observed import FindingLevel
    from celadon.sinks.tables import render_findings

    loaded, layout = load(config)
    findings = check_all(layout, loaded.settings)
    click.echo(msgspec.json.encode(findings).decode() if as_json else render_findings(findings))
    return 13 if any(found.level is FindingLevel.PROBLEM for found in findings) else 0
