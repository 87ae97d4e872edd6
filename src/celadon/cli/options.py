"""The options that verbs share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from celadon.cli.context import CONFIG

config_option = click.option(
    "-c", "--config", type=click.Path(path_type=Path), default=CONFIG, help="The app's celadon.toml."
)
app_option = click.option("--app", "app_name", metavar="NAME", help="The app, where no celadon.toml lies here.")
json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable: one JSON value a line.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Only the outcome.")
lead_option = click.option("--lead", metavar="WHO", help="Who answers for this. Default: the CI's actor, or you.")
spare_option = click.option(
    "--spare-streams", is_flag=True, help="Refuse where it would end streams that an older release still holds."
)
yes_option = click.option("-y", "--yes", is_flag=True, help="Never ask.")


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    return json_option(quiet_option(function))


def app_options(function: Callable[..., Any]) -> Callable[..., Any]:
    return config_option(app_option(function))


def read_window(text: str | None) -> float | None:
    """Seconds of `--window`; None where it is not given."""
    from celadon.config.parse import duration

    try:
        return None if text is None else duration(low_s=1.0).read(text)
    except ValueError as error:
        raise click.BadParameter(f'{error}; expected a duration as "10m"', param_hint="--window") from error
