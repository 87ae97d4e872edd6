"""What is kept and what was done: releases on disk, operations in the journal, log lines in a slot."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from celadon.app.compose import make_proxy, make_runner, make_runner_of
from celadon.app.inforce import require_in_force
from celadon.drivers.releases.store import ReleaseStore
from celadon.events import Entry, OperationEnded, OperationStarted, SwitchSeen
from celadon.host.layout import Layout
from celadon.host.tail import LineTail
from celadon.host.text import escape_controls
from celadon.model.errors import StepError, UsageError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.processes import WEB
from celadon.model.release import Fate, Release
from celadon.model.report import KeptRelease, OperationRecord
from celadon.store.journal import read_entries

_FOLLOW_EVERY_S = 0.1


def list_releases(layout: Layout) -> Sequence[KeptRelease]:
    settings = require_in_force(layout)
    store = ReleaseStore(layout, owner=settings.user)
    route = make_proxy(layout, settings).observe().slot
    live = make_runner(layout, settings).observe(route).release if route else None
    return [_describe(store, number, live=live) for number in sorted(store.numbers(), reverse=True)]


def _describe(store: ReleaseStore, number: int, *, live: int | None) -> KeptRelease:
    try:
        release = store.read(ReleaseNumber(number))
    except StepError as error:
        return KeptRelease(number=number, live=number == live, problem=error.what)
    return KeptRelease(
        number=number,
        source=release.manifest.source,
        built_at=release.manifest.built_at,
        built_by=release.manifest.built_by,
        blessed=release.fate is Fate.BLESSED,
        live=number == live,
        problem=_find_problem(store, release),
    )


def _find_problem(store: ReleaseStore, release: Release) -> str:
    if release.fate is Fate.FAILED:
        return "it was rejected or taken back"
    differing = store.verify(release)
    return "" if differing is None else f"{differing} was changed"


def list_operations(layout: Layout, *, count: int) -> Sequence[OperationRecord]:
    """Newest first."""
    entries = read_entries(layout.journal, app=layout.app, after=0, operation=None)
    by_operation: dict[str, list[Entry]] = {}
    for entry in entries:
        by_operation.setdefault(entry.operation, []).append(entry)
    told = [record for record in map(_tell, by_operation.values()) if record is not None]
    return sorted(told, key=lambda record: record.started_at, reverse=True)[:count]


def _tell(entries: Sequence[Entry]) -> OperationRecord | None:
    started = next((entry for entry in entries if isinstance(entry.body, OperationStarted)), None)
    ended = next((entry.body for entry in entries if isinstance(entry.body, OperationEnded)), None)
    if started is None or not isinstance(started.body, OperationStarted):
        return None
    switches = [entry.body.seen_ms for entry in entries if isinstance(entry.body, SwitchSeen)]
    return OperationRecord(
        operation=started.operation,
        kind=started.body.kind.value,
        lead=started.body.lead,
        started_at=started.at,
        release=started.body.release,
        live_release=started.body.live_release,
        outcome=ended.outcome.value if ended else None,
        reason=ended.reason if ended else "",
        duration_s=ended.duration_s if ended else 0.0,
        switch_ms=switches[-1] if switches else None,
        source=started.body.source,
        down_s=ended.down_s if ended else 0.0,
    )


def choose_slot(layout: Layout) -> Slot:
    """The live one; blue before the first switch."""
    return make_proxy(layout, require_in_force(layout)).observe().slot or Slot.BLUE


def take_process(layout: Layout, process: str) -> Layout:
    """The slots of that process. Raises UsageError where the app has none of that name."""
    known = [WEB, *layout.list_processes()]
    if process not in known:
        text = f"there is no process {process!r}; there are {', '.join(known)}"
        raise UsageError(text, code="process_unknown", next_command="celadon status")
    return replace(layout, process=process)


def tail_slot(layout: Layout, slot: Slot, *, lines_count: int) -> Sequence[str]:
    """Of the layout's process."""
    settings = require_in_force(layout)
    is_web = layout.process == WEB
    runner = make_runner(layout, settings) if is_web else make_runner_of(layout, settings)(layout.process)
    return runner.tail(slot, lines_count=lines_count)


def follow_slot(layout: Layout, slot: Slot, *, lines_count: int) -> Iterator[str]:
    """Endless: the last lines, then what is appended, through restarts of the slot. A line may come twice at the seam,
    none is lost."""
    following = {before: LineTail(path) for before, path in _list_logs(layout, slot).items()}
    yield from tail_slot(layout, slot, lines_count=lines_count)
    while True:
        for before, log in following.items():
            yield from (before + escape_controls(line.decode(errors="replace")) for line in log.read_lines())
        time.sleep(_FOLLOW_EVERY_S)


def _list_logs(layout: Layout, slot: Slot) -> dict[str, Path]:
    """By what stands before their lines: of several replicas the name of each, as in `tail_slot`."""
    replicas = require_in_force(layout).web.replicas(slot) if layout.process == WEB else {}
    if len(replicas) < 2:
        return {"": layout.slot(slot) / "log"}
    return {f"{name}: ": replace(layout, process=name).slot(slot) / "log" for name in replicas}
