"""What the options that verbs share mean: which app, which config, which sinks. Without click, which a rollback does
without."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from celadon.app.inforce import find_app
from celadon.contracts.sink import Sink
from celadon.host.layout import Layout, default_root
from celadon.host.pointer import read_pointer

if TYPE_CHECKING:
    from celadon.config.load import Loaded

CONFIG = Path("celadon.toml")
_chosen: list[Layout] = []


def layout_for(config: Path, app_name: str | None) -> Layout:
    """Reads at most the `app` line of the config: a broken config cannot stand in the way."""
    root = default_root()
    layout = Layout(root, find_app(root, config=config, named=app_name))
    _chosen[:] = [layout]
    return layout


def load(config: Path) -> tuple["Loaded", Layout]:
    """The whole config, checked. Raises ConfigErrors with every mistake."""
    from celadon.config.load import load_settings

    root = default_root()
    loaded = load_settings(config, root=root)
    layout = Layout(root, loaded.settings.app)
    _chosen[:] = [layout]
    return loaded, layout


def make_sinks(*, as_json: bool, quiet: bool) -> list[Sink]:
    """JSON to stdout, or words: live on a terminal, plain lines elsewhere."""
    if as_json:
        from celadon.sinks.json_lines import JsonSink

        return [JsonSink(sys.stdout)]
    if sys.stdout.isatty() and not quiet and os.environ.get("TERM") != "dumb":
        from celadon.sinks.live import LiveSink

        return [LiveSink(sys.stdout)]
    from celadon.sinks.lines import LinesSink

    return [LinesSink(sys.stdout, quiet=quiet)]


def describe_traffic() -> str:
    """One line for errors: what the pointer says, without asking anyone."""
    if not _chosen:
        return "untouched by this command"
    layout = _chosen[0]
    slot = read_pointer(layout.pointer)
    return f"{layout.app} is served by {slot}" if slot else f"{layout.app} was never switched to a slot"


def detach_message(layout: Layout) -> str:
    return (
        f"\nDetached. The operation goes on by itself.\n"
        f"  come back:  celadon attach --app {layout.app}\n"
        f"  stop it:    celadon abort --app {layout.app}"
    )
