"""`celadon replay`"""

from pathlib import Path

import click

from celadon.cli.context import load
from celadon.cli.options import config_option, json_option, read_window


@click.command("replay")
@click.argument("log", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--format",
    "log_format",
    metavar="FORMAT",
    help="nginx (ours), combined, caddy, haproxy, traefik, or the text of a log_format. Default: guessed.",
)
@click.option("--window", metavar="DURATION", help='As "10m". Default: observe.window, or 10m without a celadon.toml.')
@config_option
@json_option
def command(log: Path, log_format: str | None, window: str | None, config: Path, as_json: bool) -> int:
    """Try the rule of the window on an access log: what it would have said to each window of it.

    With the thresholds of celadon.toml where one lies here, the defaults elsewhere. The log may be compressed.
    """
    import msgspec

    from celadon.app.replay import replay_log
    from celadon.model.settings import ObserveSettings
    from celadon.sinks.replay import render_replay

    loaded, layout = load(config) if config.exists() else (None, None)
    settings = loaded.settings.observe if loaded is not None else ObserveSettings(window_s=600.0)
    window_s = read_window(window) or settings.window_s
    replayed = replay_log(log, log_format=log_format, settings=settings, window_s=window_s, layout=layout)
    click.echo(msgspec.json.encode(replayed).decode() if as_json else render_replay(replayed))
    return 0
