"""An app's environment as a file: readable by systemd's EnvironmentFile and by us, with the same meaning."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from celadon.host.files import write_atomic

USUAL_PATH = "/usr/local/bin:/usr/bin:/bin"
"""PATH of the user's commands, where nothing says another."""
NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"
_NAME = re.compile(rf"{NAME_PATTERN}\Z")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "$": "\\$", "`": "\\`"}
_UNESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\n": ""} | {character: character for character in _ESCAPES}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_HEAD = rf"[ \t]*(?:export[ \t]+)?(?P<name>{NAME_PATTERN})[ \t]*=[ \t]*"
_CLOSED = r"(?:'(?P<single>[^']*)'|\"(?P<double>[^\"\\]*(?:\\.[^\"\\]*)*)\")"
_NAMED = re.compile(_HEAD)
_QUOTED = re.compile(_HEAD + _CLOSED, re.DOTALL)
_BLANK = re.compile(r"\s*?(?:[#;][^\n]*)?(?:\n|\Z)")
_ENTRY = re.compile(_HEAD + rf"(?:{_CLOSED}[ \t\r]*(?:\#[^\n]*)?|(?P<plain>(?!['\"])[^\n]*))(?:\n|\Z)", re.DOTALL)


def base_variables(home: str) -> dict[str, str]:
    """A clean environment: what the deployer's shell happened to hold is no part of a release."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return {"PATH": USUAL_PATH} | kept | {"HOME": home}


def render_env(variables: Mapping[str, str]) -> str:
    """`NAME="value"`, sorted. Raises ValueError on a bad name, and on a value that is no text or holds a NUL."""
    return "".join(f'{_check_name(name)}="{_escape(name, variables[name])}"\n' for name in sorted(variables))


def parse_env(text: str) -> dict[str, str]:
    """What people write: `NAME=value`, quotes, `export`, comments, blank lines. A quoted value may go over lines.
    Raises ValueError with the line, and with nothing that stands in it."""
    found: dict[str, str] = {}
    at, number = 0, 1
    while at < len(text):
        match = _BLANK.match(text, at) or _ENTRY.match(text, at)
        if match is None:
            raise ValueError(f"line {number} {_blame(text, at)}")
        if match.lastgroup is not None:
            found[match["name"]] = _read_value(match)
        number += text.count("\n", at, match.end())
        at = match.end()
    return found


def decode_env(content: bytes) -> dict[str, str]:
    """As `parse_env`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    return parse_env(text)


def read_env(path: Path) -> dict[str, str]:
    """Empty when there is no such file."""
    try:
        return decode_env(path.read_bytes())
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
    """Line breaks stand in the quotes as they are: systemd 252 was seen to take them so."""
    if "\0" in value:
        raise ValueError(f"{name} holds a NUL, which no variable can carry")
    if not _is_utf8(value):
        raise ValueError(f"{name} is not UTF-8")
    return "".join(_ESCAPES.get(character, character) for character in value)


def _is_utf8(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _read_value(match: re.Match[str]) -> str:
    if (double := match["double"]) is not None:
        return _ESCAPED.sub(_unescape, double)
    if (single := match["single"]) is not None:
        return single
    return re.split(r"\s+#", match["plain"].strip(), maxsplit=1)[0].rstrip()


def _unescape(match: re.Match[str]) -> str:
    """A backslash before anything else is one."""
    return _UNESCAPES.get(match[1], match[0])


def _blame(text: str, at: int) -> str:
    if not _NAMED.match(text, at):
        return "is not NAME=value"
    return "has more after its closing quote" if _QUOTED.match(text, at) else "lacks its closing quote"
