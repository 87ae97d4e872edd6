"""`celadon completion SHELL`"""

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script: `eval "$(celadon completion bash)"`."""
    from click.shell_completion import get_completion_class

    from celadon.cli.verbs import celadon

    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(complete(celadon, {}, "celadon", "_CELADON_COMPLETE").source())
    return 0
