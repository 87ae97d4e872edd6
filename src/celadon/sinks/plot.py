"""A small plot in characters: what rises, over the window, towards a threshold. Pure; needs no colour."""

from collections.abc import Sequence
from math import log
from typing import Final

from msgspec import Struct

from celadon.model.report import Moment
from celadon.model.verdict import Evidence

ROWS_COUNT: Final = 4

# A braille character is two columns of four dots. The top row is what is at the threshold or above it.
_DOTS: Final = 4
_BELOW_COUNT: Final = (ROWS_COUNT - 1) * _DOTS
_BRAILLE: Final = 0x2800
_BITS: Final = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Of the left and the right column, from the bottom."""

_THRESHOLD = "┄"


class Curve(Struct, frozen=True, kw_only=True):
    """`points` are seconds since the switch and heights: 0 is the floor, 1 the threshold. `mark` is written beside the
    threshold, `floor` beside the floor."""

    mark: str
    floor: str
    points: tuple[tuple[float, float], ...]


def trace_evidence(moments: Sequence[Moment], *, asked: Evidence) -> Curve:
    """How near a rollback was: on a log scale the share of the evidence that it asks for, of slowness, or of errors and
    of the control, both being asked for, what lacks more of it. `asked` says what the evidence has to reach."""
    points = tuple((each.elapsed_s, _find_height(each, asked)) for each in moments)
    return Curve(mark="asked", floor="none", points=points)


def trace_failures(moments: Sequence[Moment], *, max_error_rate: float) -> Curve:
    """The share of failed requests on its way to the limit that was set."""
    points = tuple((each.elapsed_s, _find_share(each) / max_error_rate) for each in moments)
    return Curve(mark=f"{max_error_rate:.1%}", floor="0", points=points)


def _find_height(moment: Moment, asked: Evidence) -> float:
    errors = _find_part(moment.error_evidence, asked.error_evidence_asked)
    control = _find_part(moment.control_evidence, asked.control_evidence_asked)
    return max(min(errors, control), _find_part(moment.latency_evidence, asked.latency_evidence_asked))


def _find_part(evidence: float, asked: float) -> float:
    return log(max(evidence, 1.0)) / log(asked) if asked > 1 else 0.0


def _find_share(moment: Moment) -> float:
    return moment.failed_count / moment.requests_count if moment.requests_count else 0.0


def plot(curve: Curve, *, span_s: float, width: int) -> list[str]:
    """ROWS_COUNT lines and one with the times, at most `width` wide."""
    margin = max(len(curve.mark), len(curve.floor))
    columns = max(width - margin - 1, 1)
    labels = [curve.mark, *[""] * (ROWS_COUNT - 2), curve.floor]
    lines = [
        f"{label:>{margin}} {row}".rstrip()
        for label, row in zip(labels, _draw(curve.points, span_s=span_s, columns=columns), strict=True)
    ]
    end = f"{span_s:g} s"
    return [*lines, f"{'':{margin}} 0 s{end:>{max(columns - 3, len(end) + 1)}}"]


def _draw(points: Sequence[tuple[float, float]], *, span_s: float, columns: int) -> list[str]:
    """The top row first. A curve that jumps is drawn as one line."""
    cells = [[0] * columns for _ in range(ROWS_COUNT)]
    before: int | None = None
    for column, height in enumerate(_spread(points, span_s=span_s, columns=columns * 2)):
        dot = _find_dot(height)
        low, high = sorted((dot, dot if before is None else before + (dot > before) - (dot < before)))
        for each in range(low, high + 1):
            cells[ROWS_COUNT - 1 - each // _DOTS][column // 2] |= _BITS[column % 2][each % _DOTS]
        before = dot
    return ["".join(_cell(bits, empty=" " if row else _THRESHOLD) for bits in cells[row]) for row in range(ROWS_COUNT)]


def _spread(points: Sequence[tuple[float, float]], *, span_s: float, columns: int) -> list[float]:
    """One height a column, up to the last point: the highest of its points, the last before it where it has none."""
    heights: list[float] = []
    for elapsed_s, height in points:
        column = min(int(elapsed_s / span_s * columns), columns - 1) if span_s else 0
        if column < len(heights):
            heights[column] = max(heights[column], height)
            continue
        last = heights[-1] if heights else 0.0
        heights += [last] * (column - len(heights))
        heights.append(height)
    return heights


def _find_dot(height: float) -> int:
    """From the bottom; the first of the top row is 1, the threshold."""
    return max(0, min(int(height * _BELOW_COUNT), ROWS_COUNT * _DOTS - 1))


def _cell(bits: int, *, empty: str) -> str:
    return chr(_BRAILLE + bits) if bits else empty
