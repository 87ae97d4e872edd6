"""Files of ours that somebody edited by hand: found, shown, and never lost."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from celadon.contracts.proxy import RenderedFile
from celadon.drivers.proxies.sealed import is_sealed
from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.host.look_mark import read_secret
from celadon.host.text import render_diff
from celadon.model.errors import StepError
from celadon.model.observed import Finding, FindingLevel

SUBJECT = "hand edit"
WAYS_ON = "celadon proxy accept  # keeps the edit; or: celadon proxy restore  # undoes it"


def read_edit(path: Path) -> str | None:
    """What somebody made of the file; None when it is as we wrote it, or is not there."""
    try:
        text = path.read_text(errors="surrogateescape")
    except OSError:
        return None
    return None if not text or is_sealed(text) else text


def find_edits(layout: Layout, rendered: Sequence[RenderedFile]) -> Iterator[Finding]:
    """A PROBLEM for each, with what would undo it as a diff."""
    for file in rendered:
        present = read_edit(file.path)
        if present is not None:
            difference = mask(layout, render_diff(file.path, present, file.text))
            text = f"{file.path} was edited by hand; celadon would write:\n{difference}"
            yield Finding(level=FindingLevel.PROBLEM, subject=SUBJECT, text=text, fix=WAYS_ON)


def refuse_edits(layout: Layout, rendered: Mapping[Path, str]) -> None:
    """Before anything is put in place. Raises StepError."""
    files = [RenderedFile(path=path, text=text) for path, text in rendered.items()]
    found = [finding.text for finding in find_edits(layout, files)]
    if found:
        raise StepError("\n".join(found), code="proxy_hand_edited", next_command=WAYS_ON)


def keep_edit(layout: Layout, path: Path) -> None:
    """To be called before a switch writes `path`: an edit that stands there is copied aside first, for a rollback must
    not wait for anybody. Raises OSError when it cannot be kept; the file is then not to be written."""
    if path.is_symlink():
        return
    edit = read_edit(path)
    if edit is None:
        return
    kept = layout.edited / f"{time.time_ns()}" / path.relative_to("/")
    for directory in (layout.edited, kept.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(kept, edit.encode(errors="surrogateescape"), mode=0o600)


def list_kept(layout: Layout) -> Sequence[tuple[Path, Path]]:
    """Every copy with the path of the file that it is of, oldest first."""
    if not layout.edited.exists():
        return []
    copies = [path for path in layout.edited.rglob("*") if path.is_file() and not path.name.endswith(".partial")]
    return [(copy, Path("/", *copy.relative_to(layout.edited).parts[1:])) for copy in sorted(copies)]


def mask(layout: Layout, text: str) -> str:
    """The secrets of previews and looks are shown to nobody: what is found is told in the journal and on screens."""
    for path in (layout.preview_secret, layout.look_mark):
        secret = read_secret(path)
        text = text.replace(secret, "***") if secret else text
    return text
