"""Which route a request belongs to: its path with the parts that name one thing replaced by what they are."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_KINDS: Final = (
    (re.compile(r"\d{4}-\d{2}(-\d{2})?"), "{date}"),
    (re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE), "{uuid}"),
    (re.compile(r"(?=.*\d)[0-9a-f]{12,}", re.IGNORECASE), "{hash}"),
    (re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w~.:=+%-]{20,}"), "{token}"),
)
# `2026-11` is the shortest of them.
_SHORTEST_NAMED: Final = 7

# Deeper and longer paths differ by what they name, not by the code that answers them.
SEGMENTS_LIMIT: Final = 6
SEGMENT_LENGTH_LIMIT: Final = 64

TEMPLATES_LIMIT: Final = 500
_REMEMBERED_LIMIT: Final = 50_000


def parse_template(route: str) -> str:
    """`GET /users/17/cart?x=1` is `GET /users/{n}/cart`."""
    method, _, target = route.partition(" ")
    method = method if method in _METHODS else "{method}"
    segments = target.partition("?")[0].partition("#")[0].split("/")
    named = [_name_segment(name) for name in segments[1 : SEGMENTS_LIMIT + 1] if name]
    if len(segments) > SEGMENTS_LIMIT + 1:
        named.append("{more}")
    return f"{method} /{'/'.join(named)}"


def _name_segment(name: str) -> str:
    if name.isdigit():
        return "{n}"
    if len(name) < _SHORTEST_NAMED:
        return name
    for pattern, kind in _KINDS:
        if pattern.fullmatch(name):
            return kind
    return "{token}" if len(name) > SEGMENT_LENGTH_LIMIT else name


class _Remembered(dict[str, str]):
    """A path that was asked before costs a lookup, no call: each request of a window passes here."""

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, route: str) -> str:
        if len(self) >= _REMEMBERED_LIMIT:
            self.clear()
        found = self[route] = self._make(route)
        return found


class Routes:
    """Templates of the first `limit` routes that were answered, those in `known` before them; whoever asks for more
    makes no new ones: theirs are one route a method, `GET {other}`."""

    def __init__(self, known: Iterable[str] = (), *, limit: int = TEMPLATES_LIMIT) -> None:
        self._limit = limit
        self._known = set(known)
        self.templates: Mapping[str, str] = _Remembered(lambda route: self._admit(parse_template(route)))
        """Of every route there can be: those not asked before are made when they are."""

    def find(self, route: str) -> str:
        """A route's template."""
        return self.templates[route]

    def _admit(self, template: str) -> str:
        if template not in self._known:
            if len(self._known) >= self._limit:
                return f"{template.partition(' ')[0]} {{other}}"
            self._known.add(template)
        return template
