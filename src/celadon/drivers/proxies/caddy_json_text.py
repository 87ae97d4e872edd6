"""JSON as values with their places in the text, and edits that leave every other byte as it is. Pure.

What is inserted stands first in its object or array, behind the white space that its neighbour has: taken out again, it
leaves the text that was.
"""

import json
import re
from collections.abc import Iterator

from msgspec import Struct

Path = tuple[str | int, ...]
"""From the top: keys and indices."""
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN = re.compile(r"true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


class JsonError(Exception):
    """Not JSON, as Caddy reads it."""


class Member(Struct, frozen=True, kw_only=True):
    """`start` is where its key begins, or in an array its value. `key` is its index there."""

    key: str | int
    start: int
    node: "Node"


class Node(Struct, frozen=True, kw_only=True):
    """`opener` is `{` or `[`, or empty for a plain value."""

    start: int
    end: int
    opener: str = ""
    members: tuple[Member, ...] = ()

    def get(self, *path: str | int) -> "Node | None":
        node: Node | None = self
        for key in path:
            if node is None:
                return None
            # of a key that stands twice the last one counts, in Go too
            node = next((each.node for each in reversed(node.members) if each.key == key), None)
        return node


def parse_json(text: str) -> Node:
    """Raises JsonError."""
    try:
        json.loads(text)
    except ValueError as error:
        raise JsonError(str(error)) from error
    return _parse(text, _skip(text, 0))


def _parse(text: str, start: int) -> Node:
    opener = text[start]
    if opener in "{[":
        return _parse_members(text, start)
    match = (_STRING if opener == '"' else _PLAIN).match(text, start)
    if match is None:
        raise JsonError(f"line {line_of(text, start)}: not a value")
    return Node(start=start, end=match.end())


def _parse_members(text: str, start: int) -> Node:
    opener = text[start]
    members: list[Member] = []
    at = _skip(text, start + 1)
    while text[at] not in "}]":
        began, key = at, len(members)
        if opener == "{":
            match = _STRING.match(text, at)
            if match is None:
                raise JsonError(f"line {line_of(text, at)}: not a key")
            key, at = json.loads(match.group()), _skip(text, _skip(text, match.end()) + 1)
        node = _parse(text, at)
        members.append(Member(key=key, start=began, node=node))
        at = _skip(text, node.end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return Node(start=start, end=at + 1, opener=opener, members=tuple(members))


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def value_of(text: str, node: Node | None) -> object:
    """None where there is no node."""
    return None if node is None else json.loads(text[node.start : node.end])


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    yield path, node
    for each in node.members:
        yield from walk(each.node, (*path, each.key))


def replace_value(text: str, node: Node, value: object) -> str:
    """With the margin of the line on which it begins."""
    line = text[text.rfind("\n", 0, node.start) + 1 : node.start]
    return text[: node.start] + _dump(text, value, margin=_margin(line)) + text[node.end :]


def insert_first(text: str, parent: Node, value: object, *, key: str | None = None) -> str:
    at = parent.start + 1
    gap = text[at : parent.members[0].start] if parent.members else ""
    label = "" if key is None else f"{json.dumps(key)}: "
    dumped = _dump(text, value, margin=gap.rpartition("\n")[2] if "\n" in gap else "")
    return f"{text[:at]}{gap}{label}{dumped}{',' if parent.members else ''}{text[at:]}"


def remove_member(text: str, parent: Node, index: int) -> str:
    """With the comma that it needed."""
    member = parent.members[index]
    before = parent.members[index - 1].node.end if index else parent.start + 1
    if index + 1 < len(parent.members):
        start = text.index(",", before) + 1 if index else before
        return text[:start] + text[text.index(",", member.node.end) + 1 :]
    return text[:before] + text[member.node.end :]


def index_of(parent: Node, key: str) -> int | None:
    return next((index for index, each in enumerate(parent.members) if each.key == key), None)


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _dump(text: str, value: object, *, margin: str) -> str:
    """In one line where the whole text is one."""
    if "\n" not in text.strip():
        return json.dumps(value, ensure_ascii=False)
    unit = "\t" if "\n\t" in text else "  "
    return json.dumps(value, ensure_ascii=False, indent=unit).replace("\n", f"\n{margin}")
