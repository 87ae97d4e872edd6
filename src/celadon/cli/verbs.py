"""The `celadon` command as click reads it: verbs, loaded only when used."""

import importlib
from typing import Any

import click

VERBS = (
    "init", "adopt", "check", "plan", "deploy", "status", "rollback", "restart", "finalize", "abort", "attach",
    "history", "why", "observe", "releases", "logs", "replay", "proxy", "config", "preview", "eject", "recover",
    "completion", "version",
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


def obey(arguments: list[str]) -> int:
    """The exit code. Raises what a verb raises; usage errors are shown, with 2."""
    try:
        result: Any = celadon.main(args=arguments, prog_name="celadon", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except click.Abort:
        raise KeyboardInterrupt from None
    return result if isinstance(result, int) else 0
