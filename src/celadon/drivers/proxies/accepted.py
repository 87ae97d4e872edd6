"""Edits by hand that their owner accepted: they are carried over into every later rendering of the same file.

Of each file two texts are kept, as it was rendered and as it was accepted; a later rendering is merged three ways.
Bodies only: the head and its digest are made anew.
"""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.contracts.proxy import Proxy
from celadon.drivers.proxies.merge import Overlap, carry_over
from celadon.drivers.proxies.sealed import open_seal, seal
from celadon.host.files import remove_durably, write_atomic
from celadon.host.layout import Layout
from celadon.model.errors import StepError

_plainly: ContextVar[bool] = ContextVar("plainly", default=False)


class Accepted(Struct, frozen=True, kw_only=True):
    """Both bodies of one file. Bytes, since an edit may be in any encoding."""

    rendered: bytes
    edited: bytes


def merge_accepted(layout: Layout, path: Path, text: str) -> str:
    """`text`, sealed, as it is to stand at `path`: with the accepted edit of that file merged in and sealed again.
    Without one, `text` as it is; that costs one look at a directory. Raises StepError when both changed the same
    lines."""
    if _plainly.get():
        return text
    found = read_accepted(layout).get(str(path))
    if found is None:
        return text
    body = open_seal(text)
    try:
        merged = carry_over(_decode(found.rendered), _decode(found.edited), body)
    except Overlap as overlap:
        raise StepError(
            f"{path}: the edit that was accepted and celadon.toml both change "
            f"{_name_lines(overlap, text.count(chr(10)) - body.count(chr(10)))}",
            code="accepted_edit_conflicts",
            next_command=f"celadon proxy restore {path}  # drops the edit; or take that change out of celadon.toml",
        ) from overlap
    return seal(merged, app=layout.app)


@contextlib.contextmanager
def rendering_plainly() -> Iterator[None]:
    """Inside, drivers render as if nothing had been accepted."""
    token = _plainly.set(True)
    try:
        yield
    finally:
        _plainly.reset(token)


def read_accepted(layout: Layout) -> Mapping[str, Accepted]:
    """By path. Empty when nothing was ever accepted: one stat. Raises StepError for a damaged file, without which the
    edits would be lost in silence."""
    try:
        content = layout.accepted.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        return msgspec.json.decode(content, type=dict[str, Accepted])
    except msgspec.DecodeError as error:
        raise StepError(
            f"{layout.accepted}, which holds the accepted edits, is damaged: {error}",
            code="accepted_damaged",
            next_command=f"rm {layout.accepted}  # forgets them; what is in force stays until the next deploy",
        ) from error


def write_accepted(layout: Layout, accepted: Mapping[str, Accepted]) -> None:
    """Entries that change nothing go. Raises OSError."""
    kept = {path: entry for path, entry in accepted.items() if entry.rendered != entry.edited}
    if kept:
        write_atomic(layout.accepted, msgspec.json.encode(kept), mode=0o600)
    elif layout.accepted.exists():
        remove_durably(layout.accepted)


def settle_accepted(layout: Layout, proxy: Proxy) -> None:
    """After an install: each accepted edit is kept as the difference to what is rendered now, so that one which the
    rendering has caught up with is forgotten. Costs one stat when nothing is accepted."""
    accepted = read_accepted(layout)
    if not accepted:
        return
    with rendering_plainly():
        rendered = {str(file.path): open_seal(file.text) for file in proxy.render()}
    settled = dict(accepted)
    for path in accepted.keys() & rendered.keys():
        settled[path] = _carry(accepted[path], rendered[path])
    if settled != accepted:
        write_accepted(layout, settled)


def accept_text(*, rendered: str, edited: str, earlier: Accepted | None = None) -> Accepted:
    """Of two texts with or without their heads; upon an `earlier` edit that `rendered` has in it already, both are the
    difference to the plain rendering. Raises StepError."""
    new = Accepted(rendered=_encode(open_seal(rendered)), edited=_encode(open_seal(edited)))
    if earlier is None:
        return new
    return Accepted(rendered=earlier.rendered, edited=_carry(new, _decode(earlier.edited)).edited)


def _carry(accepted: Accepted, body: str) -> Accepted:
    """The same edit of another rendering. Raises StepError."""
    try:
        merged = carry_over(_decode(accepted.rendered), _decode(accepted.edited), body)
    except Overlap as overlap:
        raise StepError(
            f"two edits change {_name_lines(overlap, 0)}",
            code="accepted_edit_conflicts",
            next_command="celadon proxy restore  # or: take one of them back",
        ) from overlap
    return Accepted(rendered=_encode(body), edited=_encode(merged))


def _encode(body: str) -> bytes:
    return body.encode(errors="surrogateescape")


def _decode(body: bytes) -> str:
    return body.decode(errors="surrogateescape")


def _name_lines(overlap: Overlap, head_count: int) -> str:
    first, last = overlap.first + head_count, overlap.last + head_count
    return f"line {first}" if first == last else f"lines {first} to {last}"
