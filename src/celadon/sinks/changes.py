"""Words for `celadon proxy`."""

import time
from collections.abc import Mapping, Sequence

from celadon.model.change import Recorded

_EDITED = "Edited by hand since celadon wrote it (a deploy is refused until `celadon proxy accept` or `restore`):"
_PENDING = "Not yet written (the next deploy does, from celadon.toml):"


def render_changes(changes: Sequence[Recorded]) -> str:
    """One line a change."""
    return "\n".join(map(_describe, changes)) or "Nothing was written yet. Next: celadon deploy"


def render_differences(
    *, edited: Mapping[str, str], pending: Mapping[str, str], accepted: Sequence[str], conflict: str
) -> str:
    parts = [
        *_render_part(_EDITED, edited),
        *_render_part(_PENDING, pending),
        *([f"The next deploy would be refused: {conflict}"] if conflict else []),
        *(f"An accepted edit of {path} is carried over." for path in accepted),
    ]
    return "\n".join(parts if edited or pending or conflict else [*parts, "Nothing differs."])


def _render_part(head: str, diffs: Mapping[str, str]) -> list[str]:
    return [head, *diffs.values()] if diffs else []


def _describe(change: Recorded) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change.at))
    return f"{change.commit}  {when}  {change.release or '-':>5}  {change.lead:12} {change.subject}  ({change.reason})"
