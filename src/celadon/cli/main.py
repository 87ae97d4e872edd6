"""Where `celadon` begins, and the one place where errors become exit codes."""

import gc
import sys

# Imports make objects by the ten thousand and no garbage: looking for some was 8 of 100 ms before a rollback begins.
gc.set_threshold(100_000)

from celadon.cli.going_back import go_back, read_plain  # noqa: E402
from celadon.model.errors import CeladonError  # noqa: E402


def run() -> None:
    """Exits with the codes of docs/reference/exit-codes.md."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    try:
        words = read_plain(arguments)
        return go_back(words) if words is not None else _ask_click(arguments)
    except CeladonError as error:
        _show(error)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted before anything was started. Nothing was changed.\n")
        return 130


def _ask_click(arguments: list[str]) -> int:
    from celadon.cli.verbs import obey

    return obey(arguments)


def _show(error: CeladonError) -> None:
    from celadon.cli.context import describe_traffic

    sys.stderr.write(f"celadon: {error}\nTraffic: {describe_traffic()}\nNext:    {error.next_command}\n")


if __name__ == "__main__":
    run()
