"""What a journey remembers between its steps: variables and cookies. Pure."""

import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import msgspec

from celadon.model.journeys import BodyKind, Capture, CaptureKind

_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PATH_SAFE = "/?&=%:@+,;~!$'()*[]-._"
_GONE = re.compile(r";\s*(max-age=(0|-\d+)\s*(;|\Z)|expires=[^;]*\b1970\b)", re.IGNORECASE)


class NothingCapturedError(ValueError):
    """The answer has nothing where a capture or an expectation looks."""


def fill(text: str, variables: dict[str, str]) -> str:
    """`{name}` of what is known; other braces stay as they are."""
    return _VARIABLE.sub(lambda match: variables.get(match.group(1), match.group()), text)


def fill_body(body: str, kind: BodyKind, variables: dict[str, str]) -> str:
    """What an answer put into a variable stays one value of the form or of the JSON."""
    escape = _ESCAPES[kind]
    return fill(body, {name: escape(value) for name, value in variables.items()})


def fill_path(path: str, variables: dict[str, str], *, site: str) -> str:
    """Safe in a request line whatever an answer put into a variable. A captured URL of the site itself is its path."""
    return quote(fill(path, variables).removeprefix(site) or "/", safe=_PATH_SAFE)


def fill_header(value: str, variables: dict[str, str]) -> str:
    """One line, whatever an answer put into a variable."""
    return "".join(char if char.isprintable() else " " for char in fill(value, variables))


_ESCAPES: dict[BodyKind, Callable[[str], str]] = {
    BodyKind.TEXT: str,
    BodyKind.JSON: lambda value: json.dumps(value)[1:-1],
    BodyKind.FORM: quote_plus,
}


def take_cookies(jar: dict[str, str], set_cookies: tuple[str, ...]) -> None:
    """As a visitor of one site would: Domain and Path are not looked at."""
    for line in set_cookies:
        name, separator, value = line.partition(";")[0].partition("=")
        if not separator or not name.strip():
            continue
        if _GONE.search(line):
            jar.pop(name.strip(), None)
        else:
            jar[name.strip()] = value.strip()


def read_capture(capture: Capture, *, headers: dict[str, str], text: str, search: Callable[[str, str], str]) -> str:
    """`search` finds a pattern in a text. Raises NothingCapturedError."""
    match capture.kind:
        case CaptureKind.HEADER:
            value = headers.get(capture.where.lower())
            if value is None:
                raise NothingCapturedError(f"the answer has no header {capture.where}")
            return value
        case CaptureKind.BODY:
            return search(capture.where, text)
        case CaptureKind.JSON:
            seen = read_json(text, capture.where)
            return seen if isinstance(seen, str) else msgspec.json.encode(seen).decode()


def read_json(text: str, path: str) -> object:
    """The value at a dotted path. Raises NothingCapturedError."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NothingCapturedError(f"the body is no JSON: {error}") from error
    try:
        for part in path.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise NothingCapturedError(f"the body has no JSON value at {path}") from error
    found: object = value
    return found
