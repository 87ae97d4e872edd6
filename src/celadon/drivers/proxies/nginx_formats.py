"""The owner's own access logs, and what their formats say. Reads a configuration that was read."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.nginx_config import Config, unquote, walk

COMBINED = "combined"


class OwnersLog(Struct, frozen=True, kw_only=True):
    """`path` as written: relative to nginx's prefix. `text` is the format's; None for one that is not written down,
    `combined` among them."""

    path: Path
    format_name: str
    text: str | None
    escape: str = "default"


def describe_log(config: Config, words: Sequence[str]) -> OwnersLog | None:
    """Of the arguments of an `access_log`. None where they are no file: off, syslog, a path with variables."""
    path, *rest = map(unquote, words)
    if path == "off" or "$" in path or path.startswith("syslog:") or any(word.startswith("gzip") for word in rest):
        return None
    name = next((word for word in rest if "=" not in word), COMBINED)
    for directive, _ in walk(config.directives):
        if directive.name == "log_format" and directive.args and unquote(directive.args[0]) == name:
            parts = [unquote(word) for word in directive.args[1:]]
            escape = next((part.removeprefix("escape=") for part in parts[:1] if part.startswith("escape=")), "")
            text = "".join(parts[1:] if escape else parts)
            return OwnersLog(path=Path(path), format_name=name, text=text, escape=escape or "default")
    return OwnersLog(path=Path(path), format_name=name, text=None)
