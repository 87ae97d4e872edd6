"""Tables of plain text."""

from collections.abc import Sequence
from statistics import median


def render_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[index]) for line in [list(head), *texts]) for index in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [head, *texts]]
    return "\n".join([f"\n{title}\n", lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def spread(values: Sequence[float]) -> str:
    """median / maximum"""
    return f"{median(values):.1f} / {max(values):.1f}" if values else "-"
