"""What a person asks of the proxy's files: what changed, what differs, and what is to become of an edit by hand."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.app.committing import commit_waiting
from celadon.app.compose import make_proxy
from celadon.app.inforce import require_in_force
from celadon.app.order import new_operation_id
from celadon.app.record import Record, is_edited, note_installed
from celadon.app.status import read_recorded
from celadon.contracts.proxy import Proxy
from celadon.drivers.proxies.accepted import (
    Accepted,
    accept_text,
    read_accepted,
    rendering_plainly,
    write_accepted,
)
from celadon.drivers.proxies.edited import keep_edit, mask
from celadon.drivers.proxies.sealed import open_seal, seal
from celadon.host.files import write_atomic
from celadon.host.git_repository import GitMissing, GitRepository, RepositoryError
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.host.proxy_changes import read_last
from celadon.host.text import render_diff
from celadon.model.change import Recorded
from celadon.model.errors import NeedsPersonError, RefusedError, StepError, UsageError
from celadon.model.settings import Settings

_FIELDS = ("Release", "Lead", "Operation", "Reason")
_PLACEHOLDERS = (
    "%h", "%at", "%s", *(f"%(trailers:key={field},valueonly,separator=%x20)" for field in _FIELDS)
)  # fmt: skip


class Differences(Struct, frozen=True, kw_only=True):
    """Diffs from what celadon wrote: `edited` to what stands on the disk, `pending` to what a deploy would write.
    `accepted` are files whose edits are carried over; `conflict` says why a deploy could not write anything."""

    edited: Mapping[str, str]
    pending: Mapping[str, str]
    accepted: Sequence[str]
    conflict: str = ""


def list_changes(layout: Layout, *, count: int) -> Sequence[Recorded]:
    """Newest first; whatever waits is committed before."""
    with _reading(layout) as repository:
        if not repository.exists:
            return []
        return [_tell(values) for values in repository.log(_PLACEHOLDERS, count=count)]


def show_change(layout: Layout, revision: str) -> str:
    """Message and diff. `revision` is git's, or a release's label: its newest change."""
    with _reading(layout) as repository:
        try:
            return mask(layout, repository.show(_find_release(repository, revision) or revision))
        except ValueError as error:
            raise UsageError(
                f"{revision!r} is no change of {layout.app}'s proxy files",
                code="revision_unknown",
                next_command="celadon proxy log",
            ) from error


def compare(layout: Layout, wanted: Settings | None) -> Differences:
    """`wanted` None: there is no celadon.toml to look at."""
    wrote = {Path(name): _decode(text) for name, text in _read_wrote(layout, None).items()}
    edited = {path: _read(path) for path in wrote if _is_touched(path, wrote[path])}
    conflict, pending = "", {}
    if wanted is not None:
        try:
            files = make_proxy(layout, wanted).render()
            pending = {file.path: file.text for file in files if file.text != wrote.get(file.path)}
        except StepError as error:
            conflict = f"{error.what}\nNext: {error.next_command}"
    return Differences(
        edited={str(path): mask(layout, render_diff(path, wrote[path], text)) for path, text in edited.items()},
        pending={
            str(path): mask(layout, render_diff(path, wrote.get(path, ""), text)) for path, text in pending.items()
        },
        accepted=sorted(read_accepted(layout)),
        conflict=conflict,
    )


def accept(layout: Layout, files: Sequence[str], *, lead: str) -> Sequence[Path]:
    """Edits by hand become part of what is rendered: of `files`, or all there are. Validated and loaded by the proxy.
    Raises RefusedError, with everything as it was, when it cannot be. None to accept: an empty list."""
    with _changing(layout, lead=lead, purpose="proxy accept") as (proxy, record):
        wrote = _read_wrote(layout, proxy)
        chosen = _choose(files, [path for path in map(Path, wrote) if is_edited(path, wrote=wrote[str(path)])])
        edits = {path: path.read_bytes() for path in chosen}
        before = read_accepted(layout)
        with _or_put_back(layout, edits, before):
            write_accepted(layout, {**before, **{str(path): _accept(path, wrote, before) for path in chosen}})
            for path in chosen:
                _replace(path, wrote[str(path)])
            _install(layout, proxy, record, chosen, verb="Accept the edit by hand of")
        return chosen


def restore(layout: Layout, files: Sequence[str], *, lead: str) -> Sequence[Path]:
    """What celadon wrote is put back, validated and loaded by the proxy: for `files`, else for all that are edited,
    else for all that have an accepted edit. The edits are kept aside. Raises RefusedError, with everything as it was,
    when the proxy refuses."""
    with _changing(layout, lead=lead, purpose="proxy restore") as (proxy, record):
        wrote = _read_wrote(layout, proxy)
        before = read_accepted(layout)
        touched = [path for path in map(Path, wrote) if _is_touched(path, _decode(wrote[str(path)]))]
        chosen = _choose(files, touched if touched and not files else [*touched, *map(Path, before)])
        contents = {path: path.read_bytes() if path.exists() else None for path in chosen}
        with _or_put_back(layout, contents, before):
            for path in chosen:
                _undo(layout, path, wrote[str(path)], touched=path in touched)
            dropped = {str(path) for path in chosen if path not in touched}
            write_accepted(layout, {path: entry for path, entry in before.items() if path not in dropped})
            _install(layout, proxy, record, chosen, verb="Restore")
        return chosen


@contextlib.contextmanager
def _changing(layout: Layout, *, lead: str, purpose: str) -> Iterator[tuple[Proxy, Record]]:
    """Under the app's lock, as every operation. Raises BusyError."""
    settings = require_in_force(layout)
    lock, operation = AppLock(layout.lock), new_operation_id()
    lock.acquire(holder=lead, operation=operation, purpose=purpose)
    try:
        interrupted = read_recorded(layout).interrupted
        if interrupted is not None:
            raise RefusedError("an operation died here", code="interrupted", next_command="celadon recover")
        record = Record(layout, lead=lead, operation=operation, reason=purpose)
        record.catch_up(None)
        yield make_proxy(layout, settings), record
    finally:
        lock.release()
    commit_waiting(layout)


@contextlib.contextmanager
def _reading(layout: Layout) -> Iterator[GitRepository]:
    problem = commit_waiting(layout)
    try:
        yield GitRepository(layout.proxy_repository)
    except GitMissing as error:
        raise NeedsPersonError(
            "git is not installed; the changes wait for it", code="git_missing", next_command="apt install git"
        ) from error
    except RepositoryError as error:
        raise NeedsPersonError(
            f"the repository could not be read: {error} {problem}".rstrip(),
            code="repository_damaged",
            next_command=f"git -C {layout.proxy_repository} fsck",
        ) from error


@contextlib.contextmanager
def _or_put_back(
    layout: Layout, contents: Mapping[Path, bytes | None], accepted: Mapping[str, Accepted]
) -> Iterator[None]:
    try:
        yield
    except (StepError, OSError) as error:
        write_accepted(layout, accepted)
        for path, content in contents.items():
            if content is not None:
                _replace(path, content)
        code, following = (
            (error.code, error.next_command) if isinstance(error, StepError) else ("os_error", "celadon proxy diff")
        )
        raise RefusedError(str(error), code=code, next_command=following) from error


def _install(layout: Layout, proxy: Proxy, record: Record, chosen: Sequence[Path], *, verb: str) -> None:
    if chosen:
        proxy.install()
        note_installed(record, layout, proxy, subject=f"{verb} {', '.join(path.name for path in chosen)}")


def _accept(path: Path, wrote: Mapping[str, bytes], before: Mapping[str, Accepted]) -> Accepted:
    name = str(path)
    return accept_text(rendered=_decode(wrote[name]), edited=_read(path), earlier=before.get(name))


def _undo(layout: Layout, path: Path, wrote: bytes, *, touched: bool) -> None:
    """What was written before, and differs from what will be: so the driver loads it, whatever the proxy has loaded of
    the edit meanwhile."""
    if touched and path.exists():
        keep_edit(layout, path)
        body = open_seal(_decode(wrote)).rstrip("\n")
        _replace(path, _encode(seal(f"{body}\n# being restored\n", app=layout.app)))


def _replace(path: Path, content: bytes) -> None:
    """With the mode and the owner that the file has."""
    try:
        status = path.stat()
    except FileNotFoundError:
        write_atomic(path, content, mode=0o600)
        return
    write_atomic(path, content, mode=status.st_mode & 0o777)
    if (os.geteuid(), os.getegid()) != (status.st_uid, status.st_gid):
        os.chown(path, status.st_uid, status.st_gid)


def _read_wrote(layout: Layout, proxy: Proxy | None) -> Mapping[str, bytes]:
    """What celadon wrote last, by path; without a record of it what it would write of the settings in force."""
    last = read_last(layout)
    if last is not None:
        return last.files
    if proxy is None:
        return {}
    with rendering_plainly():
        return {str(file.path): _encode(file.text) for file in proxy.render()}


def _choose(named: Sequence[str], choices: Sequence[Path]) -> list[Path]:
    """Each name is a path, or the end of one. Raises UsageError."""
    chosen = []
    for name in named:
        found = [path for path in dict.fromkeys(choices) if path == Path(name).absolute() or path.match(name)]
        if len(found) != 1:
            what = "names several edited files" if found else "is no file of celadon's that was edited by hand"
            raise UsageError(f"{name} {what}", code="file_unknown", next_command="celadon proxy diff")
        chosen += found
    return chosen if named else list(choices)


def _find_release(repository: GitRepository, revision: str) -> str | None:
    if not (revision.startswith("r") and revision[1:].isdecimal()):
        return None
    found = repository.log(("%H", "%(trailers:key=Release,valueonly,separator=%x20)"), count=10_000)
    return next((commit for commit, release in found if release == revision), None)


def _tell(values: Sequence[str]) -> Recorded:
    commit, at, subject, release, lead, operation, reason = values
    return Recorded(
        commit=commit, at=float(at), subject=subject, release=release, lead=lead, operation=operation, reason=reason
    )


def _is_touched(path: Path, wrote: str) -> bool:
    return not path.exists() or is_edited(path, wrote=_encode(wrote))


def _read(path: Path) -> str:
    return path.read_text(errors="surrogateescape") if path.exists() else ""


def _decode(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
