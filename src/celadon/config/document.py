"""A TOML file as read, with the place of everything in it."""

import re
import tomllib
from pathlib import Path
from typing import Any

from celadon.config.mistakes import ConfigErrors, Mistake
from celadon.config.positions import Position, find_positions

_SYNTAX_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)\Z", re.DOTALL)
_LARGEST_BYTES = 1 << 20


class Document:
    """Raises ConfigErrors for what is no TOML."""

    def __init__(self, path: Path, raw: bytes) -> None:
        self.path = path
        self.raw = raw
        self._positions: dict[tuple[str | int, ...], Position] = {}
        self.tables = self._parse()

    def mistake(self, path: tuple[str | int, ...], what: str, *, near: str | None = None) -> Mistake:
        """At the key, or at the nearest table around it, or at the top."""
        place = Position(1, 1)
        for length in range(len(path), 0, -1):
            if path[:length] in self._positions:
                place = self._positions[path[:length]]
                break
        return self._mistake_at(place, what, key=show_path(path), near=near)

    def _parse(self) -> dict[str, Any]:
        if len(self.raw) > _LARGEST_BYTES:
            raise ConfigErrors((self._mistake_at(Position(1, 1), "the file is larger than 1 MiB"),))
        try:
            text = self.raw.decode()
        except UnicodeDecodeError as error:
            line = self.raw.count(b"\n", 0, error.start) + 1
            raise ConfigErrors((self._mistake_at(Position(line, 1), "this is not UTF-8"),)) from error
        try:
            tables = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ConfigErrors((self._syntax_mistake(str(error), text),)) from error
        self._positions = find_positions(text.replace("\r\n", "\n"))
        return tables

    def _syntax_mistake(self, message: str, text: str) -> Mistake:
        match = _SYNTAX_PLACE.match(message)
        if match is None:
            return self._mistake_at(Position(1, 1), f"this is no TOML: {message}")
        line = int(match.group(2) or text.count("\n") + 1)
        return self._mistake_at(Position(line, int(match.group(3) or 1)), f"this is no TOML: {match.group(1)}")

    def _mistake_at(self, place: Position, what: str, *, key: str = "", near: str | None = None) -> Mistake:
        return Mistake(file=str(self.path), line=place.line, column=place.column, key=key, what=what, near=near)


def show_path(path: tuple[str | int, ...]) -> str:
    """Elements of arrays are counted from 1, as people do."""
    parts = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")
