"""`celadon init`"""

from pathlib import Path

import click

from celadon.cli.options import lead_option, yes_option


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default=Path())
@click.option("--adopt", "adopts", is_flag=True, help="Take over the switching of a site that runs on this machine.")
@click.option("--site", "named", metavar="HOST", help="Which one, where several run.")
@click.option("--proxy", metavar="KIND", help="Look at this proxy only: nginx, caddy, haproxy or traefik.")
@click.option("--proxy-config", metavar="FILE", help="Its main configuration file, where that is not the usual one.")
@click.option("--proxy-binary", metavar="FILE", help="Its program, where that is not on the PATH.")
@lead_option
@yes_option
def command(
    directory: Path,
    adopts: bool,
    named: str | None,
    proxy: str | None,
    proxy_config: str | None,
    proxy_binary: str | None,
    lead: str | None,
    yes: bool,
) -> int:
    """Write a commented celadon.toml, guessing stack and port from what lies in DIRECTORY.

    With --adopt: from the site that runs on this machine already, which then goes through celadon's route, as
    `celadon adopt` does it.
    """
    from celadon.config.guess import guess_config
    from celadon.model.errors import UsageError

    path = directory / "celadon.toml"
    if path.exists():
        next_command = "celadon adopt" if adopts else "celadon config"
        raise UsageError(f"{path} exists; it was not touched", code="config_exists", next_command=next_command)
    if not adopts:
        path.write_text(guess_config(directory.absolute()))
        click.echo(f"Wrote {path}. Read it, set `site`, then: celadon check")
        return 0
    from celadon.app.discover import Where, discover_site, parse_proxy
    from celadon.cli.context import load
    from celadon.cli.handing_over import adopt

    where = Where(proxy=parse_proxy(proxy), config=proxy_config, binary=proxy_binary)
    path.write_text(guess_config(directory.absolute(), running=discover_site(where, named=named)))
    click.echo(f"Wrote {path}. Read it: what it says of build and command is what the next deploy does.\n")
    loaded, layout = load(path)
    return adopt(layout, loaded.settings, lead=lead, yes=yes, as_json=False, quiet=False)
