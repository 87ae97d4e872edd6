"""An app's environment as a file: readable by systemd's EnvironmentFile and by us, with the same meaning."""

import re
from collections.abc import Mapping
from pathlib import Path

from celadon.host.files import write_atomic

NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"
_NAME = re.compile(rf"{NAME_PATTERN}\Z")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "$": "\\$", "`": "\\`"}


def render_env(variables: Mapping[str, str]) -> str:
    """`NAME="value"` lines, sorted. Raises ValueError on a bad name or a NUL or line break in a value: systemd's
    syntax has no unambiguous way to write them."""
    return "".join(f'{_check_name(name)}="{_escape(name, variables[name])}"\n' for name in sorted(variables))


def parse_env(text: str) -> dict[str, str]:
    """What people write: `NAME=value`, quotes, `export`, comments, blank lines. Raises ValueError with the line."""
    found: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        name, separator, value = line.removeprefix("export ").partition("=")
        if not separator or not _NAME.match(name.strip()):
            raise ValueError(f"line {number} is not NAME=value")
        found[name.strip()] = _unquote(value.strip(), number=number)
    return found


def read_env(path: Path) -> dict[str, str]:
    """Empty when there is no such file."""
    try:
        return parse_env(path.read_text())
    except FileNotFoundError:
        return {}


def mask_env(path: Path) -> None:
    """Which variables there were is worth keeping for inspection, what they held is not."""
    write_atomic(path, render_env(dict.fromkeys(read_env(path), "***")), mode=0o600)


def _check_name(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not the name of a variable")
    return name


def _escape(name: str, value: str) -> str:
    if any(character in value for character in "\0\n\r"):
        raise ValueError(f"{name} holds a NUL or a line break, which an environment file cannot carry")
    return "".join(_ESCAPES.get(character, character) for character in value)


def _unquote(value: str, *, number: int) -> str:
    if value[:1] == "'":
        inner, end = value[1:], value[1:].find("'")
        if end < 0:
            raise ValueError(f"line {number} lacks its closing quote")
        return inner[:end]
    if value[:1] == '"':
        return _unescape(value[1:], number=number)
    return re.split(r"\s+#", value, maxsplit=1)[0].rstrip()


def _unescape(value: str, *, number: int) -> str:
    out: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == '"':
            return "".join(out)
        out.append(next(characters, "\\") if character == "\\" else character)
    raise ValueError(f"line {number} lacks its closing quote")
