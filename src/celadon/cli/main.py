"""The `celadon` command: verbs, loaded only when used, and the one place where errors become exit codes."""

import gc
import importlib
import sys
from typing import Any

# Imports make objects by the ten thousand and no garbage: looking for some was 8 of 100 ms before a rollback begins.
gc.set_threshold(100_000)

import click  # noqa: E402

from celadon.model.errors import CeladonError  # noqa: E402

VERBS = (
    "init", "check", "plan", "deploy", "status", "rollback", "finalize", "abort", "attach", "history", "releases",
    "logs", "config", "recover", "completion", "version",
)  # fmt: skip


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"celadon.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean `celadon {near[0]}`?" if near else ""
            raise click.UsageError(f"no such verb: {args[0]}.{hint} Nothing was changed.", ctx=ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def celadon() -> None:
    """Zero-downtime blue-green deployments on one server.

    prepare -> verify -> switch -> observe -> finalize. Rollback is one command.
    """


def run(arguments: list[str] | None = None) -> None:
    """Exits with the codes of docs/reference/exit-codes.md."""
    sys.exit(main(arguments))


def main(arguments: list[str] | None = None) -> int:
    try:
        result: Any = celadon.main(args=arguments, prog_name="celadon", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except CeladonError as error:
        _show(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nInterrupted before anything was started. Nothing was changed.", err=True)
        return 130
    return result if isinstance(result, int) else 0


def _show(error: CeladonError) -> None:
    click.echo(f"celadon: {error}", err=True)
    from celadon.cli.context import describe_traffic

    click.echo(f"Traffic: {describe_traffic()}", err=True)
    if error.next_command:
        click.echo(f"Next:    {error.next_command}", err=True)


if __name__ == "__main__":
    run()
