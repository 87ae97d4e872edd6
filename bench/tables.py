"""Tables: plain text for a terminal, Markdown for the documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Table:
    """`note` says what the figures mean; one paragraph."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""

    def text(self) -> str:
        plain = render_table(self.title, self.head, self.rows)
        return f"{plain}\n\n{self.note}" if self.note else plain

    def markdown(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        body = "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
        return f"### {self.title}\n\n{body}\n" + (f"\n{self.note}\n" if self.note else "")


def render_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    texts = [[str(cell) for cell in row] + [""] * (len(head) - len(row)) for row in rows]
    widths = [max(len(line[index]) for line in [list(head), *texts]) for index in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [head, *texts]]
    return "\n".join([f"\n{title}\n", lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def spread(values: Sequence[float]) -> str:
    """median / maximum"""
    return f"{median(values):.1f} / {max(values):.1f}" if values else "-"
