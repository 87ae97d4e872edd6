"""What a proxy exposes for Prometheus, in its text format: the few series that are asked for."""

import math
import re
from collections.abc import Iterator, Mapping

_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
_SAMPLE = re.compile(rf"\{{((?:{_LABEL.pattern},?)*)\}} (\S+)(?: -?\d+)?")
_ESCAPED = re.compile(r"\\(.)")


def read_series(text: str, name: str) -> Iterator[tuple[Mapping[str, str], int]]:
    """Labels and whole number of each series of a counter. Raises ValueError for what is none."""
    for line in text.splitlines():
        if line.startswith(f"{name}{{"):
            yield _parse(line.removeprefix(name))


def _parse(line: str) -> tuple[Mapping[str, str], int]:
    found = _SAMPLE.fullmatch(line)
    value = float(found[4]) if found is not None else math.nan
    if found is None or not math.isfinite(value):
        raise ValueError(f"{line!r:.80} is no series")
    return {label[1]: _unescape(label[2]) for label in _LABEL.finditer(found[1])}, int(value)


def _unescape(value: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], value)
