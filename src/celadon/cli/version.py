"""`celadon version`"""

import click


@click.command("version")
def command() -> int:
    """Print the version."""
    from importlib.metadata import version

    click.echo(f"celadon {version('celadon')}")
    return 0
