"""What an operation changed of the proxy's files and of the route, written down as it happens; and the edits by hand
that it met. Nothing here may fail or delay an operation: what cannot be written down now is found by the next one.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from celadon.contracts.journal import Journal
from celadon.contracts.proxy import Proxy
from celadon.deploy.ledger import Account
from celadon.events import (
    CandidateStarting,
    Entry,
    Event,
    OperationStarted,
    ShareSeen,
    SiteAdopted,
    Step,
    StepEnded,
    StepStarted,
    SwitchSeen,
)
from celadon.host.layout import Layout
from celadon.host.pointer import read_pointer, read_split
from celadon.host.proxy_changes import add_change, read_last
from celadon.model.change import Change
from celadon.model.names import OperationId, Slot, render_release_label
from celadon.model.observed import Finding, FindingLevel

_UNKNOWN_LEAD = "celadon"
_INSTALL = "Install the route's files"


class Record:
    """Of one operation, whose `reason` is what was asked for. The caller holds the app's lock."""

    def __init__(self, layout: Layout, *, lead: str, operation: OperationId, reason: str) -> None:
        self._layout = layout
        self._lead = lead
        self._operation = operation
        self._asked = reason
        self._last = read_last(layout)
        self._releases = _parse_route(self._last.route if self._last else "")
        self._step: Step | None = None
        self._reason = ""
        self._edited: set[Path] = set()
        self._kept_before = _list_names(layout.edited)
        self._kept: list[tuple[Path, Path]] = []

    @property
    def knows_files(self) -> bool:
        return self._last is not None

    def catch_up(self, interrupted: Account | None) -> None:
        """What an operation left that died before it could write it down."""
        if self._last is None:
            return
        if interrupted is not None and interrupted.candidate is not None and interrupted.release is not None:
            self._releases.setdefault(interrupted.candidate, render_release_label(interrupted.release))
        self._note(
            "Found on the disk: {route}",
            lead=_UNKNOWN_LEAD,
            reason="an operation ended before it had written this down",
            operation=interrupted.operation if interrupted is not None else None,
        )

    def take(self, event: Event) -> None:
        """Every event of the operation, after the journal has it."""
        match event:
            case OperationStarted(live=live, live_release=release) if live and release:
                self._releases[live] = render_release_label(release)
            case CandidateStarting(slot=slot, release=release):
                self._releases[slot] = render_release_label(release)
            case SiteAdopted(slot=slot, release=release):
                self._releases[slot] = render_release_label(release)
            case StepStarted(step=step):
                self._step = step
            case StepEnded(reason=reason) if reason:
                self._reason = reason
            case SwitchSeen(to_slot=slot, to_release=release):
                self._switched(slot, render_release_label(release), share="")
            case ShareSeen(to_slot=slot, to_release=release, percent=percent):
                self._switched(slot, render_release_label(release), share=f"{percent}% of the traffic: ")
            case _:
                pass

    def note_files(self, paths: Iterable[Path], *, subject: str, release: str = "") -> None:
        """`paths` are all the files that stand in place now."""
        self._note(subject, paths=paths, release=release)

    def end(self) -> Sequence[Finding]:
        """What is worth a warning beside the outcome."""
        self._note("Leave the route at {route}")
        kept = {path for _, path in self._kept}
        return [_describe_kept(copy, path) for copy, path in self._kept] + [
            _describe_edited(path) for path in sorted(self._edited - kept)
        ]

    def _switched(self, slot: Slot, release: str, *, share: str) -> None:
        self._releases[slot] = release
        self._note(f"{share}{release} to {slot}", release=release)

    def _note(
        self,
        subject: str,
        *,
        paths: Iterable[Path] | None = None,
        release: str = "",
        lead: str = "",
        reason: str = "",
        operation: OperationId | None = None,
    ) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._note_kept()
            files = self._read_files(paths)
            route = self._describe_route()
            if self._last is not None and (self._last.files, self._last.route) == (files, route):
                return
            change = Change(
                id=_new_id(),
                at=time.time(),
                subject=subject.format(route=route),
                lead=lead or self._lead,
                operation=operation or self._operation,
                reason=reason or self._give_reason(),
                route=route,
                release=release,
                files=files,
            )
            add_change(self._layout, change)
            self._last = change

    def _note_kept(self) -> None:
        """An edit that a switch had to replace becomes a change of its own, before that of the switch."""
        if _list_names(self._layout.edited) == self._kept_before:
            return
        from celadon.drivers.proxies.edited import list_kept

        new = [each for each in list_kept(self._layout) if _batch(self._layout, each[0]) not in self._kept_before]
        self._kept += new
        self._kept_before = _list_names(self._layout.edited)
        for copy, path in new:
            files = dict(self._last.files) if self._last else {}
            change = Change(
                id=_new_id(),
                at=time.time(),
                subject=f"An edit by hand of {path.name}, which a switch replaced",
                lead="somebody",
                operation=self._operation,
                reason="found at the switch",
                route=self._last.route if self._last else "",
                files=files | {str(path): copy.read_bytes()},
            )
            add_change(self._layout, change)

    def _read_files(self, paths: Iterable[Path] | None) -> dict[str, bytes]:
        """As celadon wrote them: of a file that was edited or removed by hand the last text is kept."""
        last: Mapping[str, bytes] = self._last.files if self._last is not None else {}
        files = {}
        for path in [Path(name) for name in last] if paths is None else paths:
            content, edited = _read_managed(path, last=last.get(str(path)))
            if edited:
                self._edited.add(path)
            if content is not None:
                files[str(path)] = content
        return files

    def _describe_route(self) -> str:
        slot, split = read_pointer(self._layout.pointer), read_split(self._layout.pointer)
        if slot is None:
            return "none"
        route = f"{slot} {self._releases.get(slot, '')}".rstrip()
        return f"{route}, {split.slot} {self._releases.get(split.slot, '')} {split.percent}%" if split else route

    def _give_reason(self) -> str:
        if self._step in {Step.RETURN, Step.REJECT} and self._reason:
            return self._reason
        return self._asked


def note_installed(
    record: Record, layout: Layout, proxy: Proxy | None, *, subject: str = _INSTALL, release: str = ""
) -> None:
    """After the files of `proxy` were put in place; None: there are none any more. Raises StepError."""
    if proxy is None:
        record.note_files([], subject=subject)
        return
    from celadon.drivers.proxies.accepted import settle_accepted

    settle_accepted(layout, proxy)
    record.note_files([file.path for file in proxy.render()], subject=subject, release=release)


class RecordedJournal:
    """Implements contracts.journal.Journal: the record is told what the journal has."""

    def __init__(self, journal: Journal, record: Record) -> None:
        self._journal = journal
        self._record = record

    def append(self, *events: Event) -> Entry:
        entry = self._journal.append(*events)
        for event in events:
            self._record.take(event)
        return entry

    def read(self, *, after: int = 0, operation: OperationId | None = None) -> Sequence[Entry]:
        return self._journal.read(after=after, operation=operation)


def find_edited(layout: Layout) -> Sequence[Path]:
    """Files of ours that somebody edited since they were written. 0.2 ms when nobody did."""
    last = read_last(layout)
    if last is None:
        return []
    return [Path(name) for name, content in last.files.items() if is_edited(Path(name), wrote=content)]


def is_edited(path: Path, *, wrote: bytes) -> bool:
    """Since it was written. A file that is not there was not."""
    return _read_managed(path, last=wrote)[1]


def _read_managed(path: Path, *, last: bytes | None) -> tuple[bytes | None, bool]:
    """What celadon wrote there last, and whether it was edited since."""
    try:
        present = path.read_bytes()
    except OSError:
        return last, False
    if present == last:
        return last, False
    from celadon.drivers.proxies.sealed import is_sealed

    if is_sealed(present.decode(errors="surrogateescape")):
        return present, False
    return last, True


def _parse_route(route: str) -> dict[Slot, str]:
    words = [part.split() for part in route.split(", ")]
    return {Slot(found[0]): found[1] for found in words if len(found) > 1}


def _describe_edited(path: Path) -> Finding:
    from celadon.drivers.proxies.edited import SUBJECT, WAYS_ON

    text = f"{path} was edited by hand; it was left as it is, and the next deploy will be refused"
    return Finding(level=FindingLevel.WARNING, subject=SUBJECT, text=text, fix=WAYS_ON)


def _describe_kept(copy: Path, path: Path) -> Finding:
    from celadon.drivers.proxies.edited import SUBJECT

    text = f"{path} was edited by hand and names the route, so the switch replaced it; the edit is kept in {copy}"
    return Finding(level=FindingLevel.WARNING, subject=SUBJECT, text=text, fix="celadon proxy log")


def _new_id() -> str:
    return os.urandom(6).hex()


def _list_names(directory: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(directory))
    except FileNotFoundError:
        return frozenset()


def _batch(layout: Layout, copy: Path) -> str:
    return copy.relative_to(layout.edited).parts[0]
