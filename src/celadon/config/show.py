"""Settings in words: what is in force, and the reference page."""

from celadon.config.load import Loaded
from celadon.config.table import DERIVED, REQUIRED, SETTINGS, Setting


def render_in_force(loaded: Loaded) -> str:
    """celadon.toml as it is in force, defaults marked. Values of `web.env` are masked."""
    lines: list[str] = []
    table = ""
    for setting in SETTINGS:
        prefix, _, name = setting.key.rpartition(".")
        if prefix != table:
            lines += ["", f"[{prefix}]"]
            table = prefix
        value = loaded.values[setting.key]
        mark = "" if setting.key in loaded.given else "  # default"
        if setting.key == "web.env":
            value = dict.fromkeys(value, "***")
        lines.append(f"# {name} is not set" if value is None else f"{name} = {setting.kind.show(value)}{mark}")
    return "\n".join(lines) + "\n"


def render_reference() -> str:
    """Markdown, a table of settings a section."""
    lines = ["# Settings", "", "`celadon.toml`, at the root of the app. Unknown keys are mistakes.", ""]
    table: str | None = None
    for setting in SETTINGS:
        prefix, _, name = setting.key.rpartition(".")
        if prefix != table:
            lines += [
                "",
                f"## [{prefix}]" if prefix else "## Top level",
                "",
                "| key | takes | default | |",
                "|---|---|---|---|",
            ]
            table = prefix
        lines.append(
            f"| `{name}` | {_cell(setting.kind.expected)} | {_describe_default(setting)} | {_cell(setting.doc)} |"
        )
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _describe_default(setting: Setting) -> str:
    if setting.default is REQUIRED:
        return "required"
    if setting.default is DERIVED:
        return "by other settings"
    return "-" if setting.default is None else f"`{_cell(setting.kind.show(setting.default))}`"
