"""Where every key of a TOML text stands. tomllib parses but tells no positions; this tells positions and parses
nothing: it runs on text that tomllib has accepted, so it may be short."""

import re
from collections.abc import Iterator
from itertools import count

from msgspec import Struct

_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_BLANK = re.compile(r"[ \t]*")


class Position(Struct, frozen=True):
    """Both count from 1; `column` in characters."""

    line: int
    column: int


Path = tuple[str | int, ...]


def find_positions(text: str) -> dict[Path, Position]:
    """Path → where its key first stands. What is in an array has its index, from 0, in its path, and stands there
    without it too, for the first element that has it."""
    found: dict[Path, Position] = {}
    for path, offset in _Scanner(text).scan():
        place = _locate(text, offset)
        found.setdefault(path, place)
        found.setdefault(tuple(part for part in path if isinstance(part, str)), place)
    return found


def _locate(text: str, offset: int) -> Position:
    line = text.count("\n", 0, offset) + 1
    return Position(line, offset - (text.rfind("\n", 0, offset) + 1) + 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._last_index: dict[Path, int] = {}

    def scan(self) -> Iterator[tuple[Path, int]]:
        table: Path = ()
        while self._at < len(self._text):
            self._skip_space()
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                is_array = self._text.startswith("[[", self._at)
                while self._text[self._at] == "[":
                    self._at += 1
                self._skip_blank()
                start = self._at
                table = self._enter(self._read_key())
                if is_array:
                    self._last_index[table] = index = self._last_index.get(table, -1) + 1
                    table = (*table, index)
                yield table, start
                self._at = self._end_of_line()
            else:
                yield from self._scan_pair(table)

    def _enter(self, key: tuple[str, ...]) -> Path:
        """Of a table below an array of tables: it is the last element's."""
        path: Path = ()
        for name in key[:-1]:
            path = (*path, name)
            if path in self._last_index:
                path = (*path, self._last_index[path])
        return path + key[-1:]

    def _scan_pair(self, prefix: Path) -> Iterator[tuple[Path, int]]:
        start = self._at
        path = prefix + self._read_key()
        yield path, start
        self._skip_blank()
        self._at += 1  # the equals sign
        self._skip_blank()
        yield from self._scan_value(path)

    def _scan_value(self, path: Path) -> Iterator[tuple[Path, int]]:
        first = self._text[self._at]
        if first == "{":
            yield from self._scan_inline_table(path)
        elif first == "[":
            yield from self._scan_array(path)
        elif first in "\"'":
            self._skip_string()
        else:
            while self._at < len(self._text) and self._text[self._at] not in ",]}#\n":
                self._at += 1

    def _scan_inline_table(self, path: Path) -> Iterator[tuple[Path, int]]:
        self._at += 1
        while True:
            self._skip_space(also=",")
            if self._text[self._at] == "}":
                self._at += 1
                return
            yield from self._scan_pair(path)

    def _scan_array(self, path: Path) -> Iterator[tuple[Path, int]]:
        self._at += 1
        for index in count():
            self._skip_space(also=",")
            if self._text[self._at] == "]":
                self._at += 1
                return
            yield from self._scan_value((*path, index))

    def _read_key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while True:
            self._skip_blank()
            match = _KEY_PART.match(self._text, self._at)
            if match is None:
                return tuple(parts)
            parts.append(_unquote(match.group()))
            self._at = match.end()
            self._skip_blank()
            if self._text[self._at : self._at + 1] != ".":
                return tuple(parts)
            self._at += 1

    def _skip_string(self) -> None:
        quote = self._text[self._at]
        long = self._text.startswith(quote * 3, self._at)
        end = quote * 3 if long else quote
        self._at += len(end)
        while not self._text.startswith(end, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(end)
        while long and self._text.startswith(quote, self._at):
            self._at += 1

    def _skip_space(self, *, also: str = "") -> None:
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                self._at = self._end_of_line()
            elif self._text[self._at] in " \t\r\n" + also:
                self._at += 1
            else:
                return

    def _skip_blank(self) -> None:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _end_of_line(self) -> int:
        end = self._text.find("\n", self._at)
        return len(self._text) if end < 0 else end


def _unquote(part: str) -> str:
    if part[0] == '"':
        return re.sub(r'\\(["\\])', r"\1", part[1:-1])
    return part[1:-1] if part[0] == "'" else part
