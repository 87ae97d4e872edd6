"""`celadon init`"""

from pathlib import Path

import click


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default=Path())
def command(directory: Path) -> int:
    """Write a commented celadon.toml, guessing stack and port from what lies in DIRECTORY."""
    from celadon.config.guess import guess_config
    from celadon.model.errors import UsageError

    path = directory / "celadon.toml"
    if path.exists():
        raise UsageError(f"{path} exists; it was not touched", code="config_exists", next_command="celadon config")
    path.write_text(guess_config(directory.absolute()))
    click.echo(f"Wrote {path}. Read it, set `site`, then: celadon check")
    return 0
