"""One edit of a text carried over to another rendering of it. Pure.

What git's own merge would call a conflict because two changes touch is none here: a line that was added beside a line
that we render anew is simply added again. A file of ours may be two lines long, one of which changes at each switch.
"""

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct


class Overlap(Exception):
    """The edit and the new rendering change the same lines: `first` to `last` of the base, counted from 1."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__(f"lines {first} to {last}")
        self.first = first
        self.last = last


class _Hunk(Struct, frozen=True):
    """Lines `first` up to but not `last` of the base became `lines`."""

    first: int
    last: int
    lines: tuple[str, ...]


def carry_over(base: str, edited: str, new: str) -> str:
    """`new` with all that was changed from `base` to `edited`. A change that `new` makes too is made once. Raises
    Overlap. 10 ms the first time, for difflib."""
    if new in {base, edited} or base == edited:
        return edited if new == base else new
    old = base.splitlines(keepends=True)
    edits, renderings = _find_hunks(old, edited), _find_hunks(old, new)
    taken = [*renderings]
    for edit in edits:
        if edit in renderings:
            continue
        for rendering in renderings:
            if _clash(edit, rendering):
                raise Overlap(edit.first + 1, max(edit.first + 1, edit.last))
        taken.append(edit)
    # what is added before a line stands before what that line becomes
    taken.sort(key=lambda hunk: (hunk.first, hunk.last))
    return "".join(_apply(old, taken))


def _find_hunks(old: Sequence[str], text: str) -> list[_Hunk]:
    """Replacements of as many lines as they put in their place are taken line by line."""
    from difflib import SequenceMatcher

    lines = text.splitlines(keepends=True)
    hunks = []
    for tag, first, last, begin, end in SequenceMatcher(a=old, b=lines, autojunk=False).get_opcodes():
        if tag == "replace" and last - first == end - begin:
            hunks += [_Hunk(first + n, first + n + 1, (lines[begin + n],)) for n in range(last - first)]
        elif tag != "equal":
            hunks.append(_Hunk(first, last, tuple(lines[begin:end])))
    return hunks


def _clash(one: _Hunk, other: _Hunk) -> bool:
    """Two additions at one place clash: nobody knows their order. One at the edge of a change does not."""
    if one.first == one.last and other.first == other.last:
        return one.first == other.first
    if one.first == one.last:
        return other.first < one.first < other.last
    if other.first == other.last:
        return one.first < other.first < one.last
    return one.first < other.last and other.first < one.last


def _apply(old: Sequence[str], hunks: Sequence[_Hunk]) -> list[str]:
    edges = [_Hunk(0, 0, ()), *hunks, _Hunk(len(old), len(old), ())]
    lines: list[str] = []
    for before, after in pairwise(edges):
        lines += [*before.lines, *old[before.last : after.first]]
    return lines
