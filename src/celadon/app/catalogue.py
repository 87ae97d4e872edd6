"""What is kept and what was done: releases on disk, operations in the journal, log lines in a slot."""

from collections.abc import Sequence

from celadon.app.compose import make_proxy, make_runner
from celadon.app.inforce import require_in_force
from celadon.drivers.releases.store import ReleaseStore
from celadon.events import Entry, OperationEnded, OperationStarted, SwitchSeen
from celadon.host.layout import Layout
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.release import Fate, Release
from celadon.model.report import KeptRelease, OperationRecord
from celadon.store.journal import read_entries


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
    )


def tail_slot(layout: Layout, slot: Slot | None, *, lines_count: int) -> Sequence[str]:
    settings = require_in_force(layout)
    chosen = slot or make_proxy(layout, settings).observe().slot or Slot.BLUE
    return make_runner(layout, settings).tail(chosen, lines_count=lines_count)
