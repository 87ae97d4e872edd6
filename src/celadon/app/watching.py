"""The watch over a slot that lives on for its streams: until they have ended, its limit is over, or it is needed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from celadon.app.compose import make_runner, make_sockets
from celadon.app.inforce import read_in_force
from celadon.app.order import new_operation_id, write_order
from celadon.app.verbs import order_of
from celadon.deploy.kinds import Watch
from celadon.deploy.ledger import read_ledger
from celadon.deploy.lingering import count_open
from celadon.deploy.replicas import list_open
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.model.connections import Connection
from celadon.model.errors import BusyError, CeladonError
from celadon.model.lingering import Lingering
from celadon.model.plan import OperationKind
from celadon.model.settings import POOLED_S
from celadon.store.journal import read_entries

LEAD = "celadon"
_LOOK_EVERY_S, _LOOK_EVERY_S_AT_MOST = 0.5, 10.0
_LOOK_SHARE = 0.02
"""Of the time that it has lingered: nobody is in a hurry after an hour."""
_CPU_SHARE, _CPU_FREE_S = 0.005, 0.1
"""Of a core; the first look, which finds out who is at the other ends, is not held against it."""
_AGAIN_S, _AGAIN_S_AT_MOST = 5.0, 3600.0


def keep(layout: Layout) -> None:
    """Blocks until nothing lingers, or somebody else watches. Who comes while this one lets go is not missed: the
    journal is read once more afterwards."""
    lock = AppLock(layout.keeping)
    while _read_lingering(layout) is not None:
        try:
            lock.acquire(holder=LEAD, operation=new_operation_id(), purpose="keep")
        except BusyError:
            return
        try:
            _watch(layout)
        finally:
            lock.release()


def _watch(layout: Layout) -> None:
    recorded, again_s = _Recorded(layout), _AGAIN_S
    looking: _Looking | None = None
    while (lingering := recorded.read()) is not None:
        if looking is None or looking.lingering != lingering:
            looking, again_s = _Looking(layout, lingering), _AGAIN_S
        left_s = looking.find_left_s()
        if left_s > 0.0 or AppLock(layout.lock).holder() is not None:
            time.sleep(min(looking.choose_pause(), left_s or _LOOK_EVERY_S_AT_MOST))
            continue
        _order_end(layout)
        if recorded.read() is not None:
            time.sleep(again_s)
            again_s = min(again_s * 2, _AGAIN_S_AT_MOST)


class _Recorded:
    """What the journal has, read again only when it has changed."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._changed_at: int | None = None
        self._lingering: Lingering | None = None

    def read(self) -> Lingering | None:
        changed_at = _read_mtime(self._layout)
        if changed_at is None or changed_at != self._changed_at:
            self._changed_at, self._lingering = changed_at, _read_lingering(self._layout)
        return self._lingering


class _Looking:
    """At the connections of one that lingers, as the app is set up when it begins: whoever changes that ends it first.
    A slot that has died has no connections."""

    def __init__(self, layout: Layout, lingering: Lingering) -> None:
        self.lingering = lingering
        self._began_s, self._spent_before_s = time.monotonic(), _spent_s()
        self._list_open: Callable[[], Sequence[Connection]] = list
        self._watch = Watch(pooled_s=0.0)
        settings = read_in_force(layout)
        if settings is None:
            return
        sockets = make_sockets(layout, settings, make_runner(layout, settings))
        self._list_open = partial(list_open, sockets, settings.web.addresses(lingering.slot))
        self._watch = Watch(pooled_s=POOLED_S[settings.proxy.kind])

    def find_left_s(self) -> float:
        """Until it is to be ended; 0: now."""
        now_s = time.monotonic()
        connections = self._list_open()
        kinds = count_open(self._watch, connections, self.lingering, now_s=now_s)
        return self.lingering.left_s(now_s) if kinds.requests_count + kinds.streams_count else 0.0

    def choose_pause(self) -> float:
        """Seconds; until what was spent is no more than its share of the time."""
        now_s = time.monotonic()
        spent_s = _spent_s() - self._spent_before_s
        earned_s = (spent_s - _CPU_FREE_S) / _CPU_SHARE - (now_s - self._began_s)
        wanted_s = max(_LOOK_EVERY_S, _LOOK_SHARE * (now_s - self.lingering.since_s), earned_s)
        return min(wanted_s, _LOOK_EVERY_S_AT_MOST)


def _spent_s() -> float:
    """CPU seconds, with those of programs that the look has run."""
    return sum(os.times()[:4])


def _order_end(layout: Layout) -> None:
    """By a process of its own, which is of the version that is installed then: this one may be days old."""
    order = order_of(layout, OperationKind.RETIRE, lead=LEAD)
    path = layout.operations / f"{order.operation}.order"
    write_order(order, path)
    subprocess.run([sys.executable, "-m", "celadon.cli.operate", str(path)], stdin=subprocess.DEVNULL, check=False)


def _read_lingering(layout: Layout) -> Lingering | None:
    try:
        return read_ledger(read_entries(layout.journal, app=layout.app, after=0, operation=None)).lingering
    except (CeladonError, OSError):
        return None


def _read_mtime(layout: Layout) -> int | None:
    try:
        return layout.journal.stat().st_mtime_ns
    except OSError:
        return None
