"""One way back after the other, each of a whole deploy whose release is fine until it fails every page.

`judge = "thresholds"` with `min_requests = 1` makes a verdict of the first bad answer, so that what lies between the
two is the reading alone. By evidence a verdict takes what the rule asks for; the bad answers that it took are counted.
"""

import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.site import Site

from bench.load.oneshot import make_clients
from bench.reaction.deploying import Deploying
from bench.reaction.troubles import Trouble, be_fine, begin_to_fail
from celadon.app.compose import make_proxy
from celadon.app.inforce import require_in_force
from celadon.contracts.traffic import Traffic
from celadon.events import Entry, SwitchSeen, VerdictReached
from celadon.host.pointer import live_path, move_pointer, prepare_pointer
from celadon.model.names import Slot

_SETTLED_S = 0.4
_PHASES_S = 0.3
"""The first bad answer comes at any moment of a round of the loop."""
_LOOK_EVERY_S = 0.001
_LINE_TIMEOUT_S = 5.0
_VISIT_EVERY_S = 0.05
_CLOCK_TICK_S = 0.01
"""The kernel dates files by a coarser clock."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """Of one way back, ms. `read`: from the first bad answer, as the visitor got it, to the verdict; `moved`: from the
    verdict to the pointer's new target; `seen`: from that answer to the first one of the old slot, as the journal has
    it. Bare: the same line, to whoever asks for it each millisecond; the same rename and its fsync, alone."""

    read_ms: float
    moved_ms: float
    seen_ms: float
    bare_read_ms: float | None
    bare_moved_ms: float
    bad_count: int


class RoundError(Exception):
    """What was to be measured did not come about."""


def measure_rounds(site: Site, trouble: Trouble, *, count: int, by_evidence: bool = False) -> Iterator[Round]:
    """v1 is live, and stays so. A round that measures nothing is made again: on a full disk the window may end because
    it could not be recorded, before the release fails."""
    scratch = site.state / "bare-pointer"
    prepare_pointer(scratch)
    left, failures = count, []
    for number in range(2 * count):
        if not left:
            return
        try:
            yield _measure(site, trouble, scratch, number=number, by_evidence=by_evidence)
            left -= 1
        except RoundError as error:
            failures.append(str(error))
    raise RoundError(f"{len(failures)} of {2 * count} rounds: {failures[-1]}")


def _measure(site: Site, trouble: Trouble, scratch: Path, *, number: int, by_evidence: bool) -> Round:
    be_fine(site)
    site.write_version(f"r{number}", broken="later")
    with Deploying(site, terminal=trouble.terminal) as deploying:
        deploying.await_event("window_opened")
        time.sleep(_SETTLED_S + random.random() * _PHASES_S)
        with trouble.brew(site, deploying), _unhindered():
            begin_to_fail(site)
            bad_at, bare_read_ms, bad_count = _fail(site, deploying, by_evidence=by_evidence)
            deploying.await_route(site.layout.pointer, Slot.BLUE)
            bare_moved_ms = _move_bare(scratch)
        entries = deploying.end()
    site.celadon("recover")
    return _judge(site, entries, bad_at, bare_read_ms=bare_read_ms, bare_moved_ms=bare_moved_ms, bad_count=bad_count)


def _judge(
    site: Site,
    entries: list[Entry],
    bad_at: float,
    *,
    bare_read_ms: float | None,
    bare_moved_ms: float,
    bad_count: int,
) -> Round:
    verdict = next((entry for entry in entries if isinstance(entry.body, VerdictReached)), None)
    back = next((entry for entry in reversed(entries) if isinstance(entry.body, SwitchSeen)), None)
    if verdict is None or back is None or not isinstance(back.body, SwitchSeen) or back.body.to_slot is not Slot.BLUE:
        raise RoundError(f"it was not taken back: {[type(entry.body).__name__ for entry in entries]}")
    moved_at = live_path(site.layout.pointer).lstat().st_ctime
    if verdict.at - moved_at > _CLOCK_TICK_S:
        raise RoundError("the verdict was recorded when the route was back")
    seen_at = back.at - (back.body.settled_ms - back.body.seen_ms) / 1000
    return Round(
        read_ms=(verdict.at - bad_at) * 1000,
        moved_ms=(moved_at - verdict.at) * 1000,
        seen_ms=(seen_at - bad_at) * 1000,
        bare_read_ms=bare_read_ms,
        bare_moved_ms=bare_moved_ms,
        bad_count=bad_count,
    )


def _fail(site: Site, deploying: Deploying, *, by_evidence: bool) -> tuple[float, float | None, int]:
    """When the first bad answer was there, how long its line took, and how many there were."""
    settings = require_in_force(site.layout)
    traffic = make_proxy(site.layout, settings).traffic()
    try:
        clients = iter(make_clients(400))
        bad_at = _visit(site, next(clients))
        bare_read_ms = _await_line(traffic, bad_at)
    finally:
        traffic.close()
    count = 1
    while by_evidence and deploying.route(site.layout.pointer) is not Slot.BLUE:
        count += 1
        _visit(site, next(clients))
        time.sleep(_VISIT_EVERY_S)
    return bad_at, bare_read_ms, count


def _visit(site: Site, client: str) -> float:
    """When the answer was there: the proxy closes the connection after it has written its line."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=10, source_address=(client, 0)) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
        answer = stream.recv(65536)
        at = time.time()
    if not answer.startswith(b"HTTP/1.1 500 "):
        raise RoundError(f"the release that should fail answered {answer!r}")
    return at


def _await_line(traffic: Traffic, bad_at: float) -> float | None:
    """None where the proxy could not write it."""
    while time.time() - bad_at < _LINE_TIMEOUT_S:
        if any(hit.failed for hit in traffic.read()):
            return (time.time() - bad_at) * 1000
        time.sleep(_LOOK_EVERY_S)
    return None


def _move_bare(scratch: Path) -> float:
    took = []
    for to in (Slot.BLUE, Slot.GREEN):
        began_s = time.monotonic()
        move_pointer(scratch, to)
        took.append((time.monotonic() - began_s) * 1000)
    return min(took)


@contextmanager
def _unhindered() -> Iterator[None]:
    """The one who holds the watch is not starved by the load that it measures. Nothing is started meanwhile: children
    would inherit it."""
    thread = threading.get_native_id()
    before = os.getpriority(os.PRIO_PROCESS, thread)
    os.setpriority(os.PRIO_PROCESS, thread, -20)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, thread, before)
