"""Room for a candidate beside what is live, looked at before anything is done."""

from collections.abc import Sequence
from typing import Final

from celadon.contracts.runner import Runner
from celadon.drivers.probes.process import make_ask_process
from celadon.host.layout import Layout
from celadon.host.pointer import read_pointer
from celadon.host.room import observe_room
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import ConnectionsView, Finding, SlotStatus, warning
from celadon.model.processes import WEB
from celadon.model.settings import Settings, Strategy
from celadon.observe.room import give_back, judge_connections, judge_room

_CONNECTIONS_TIMEOUT_S: Final = 10.0
_NUMBERS_COUNT: Final = 2


def check_room(layout: Layout, settings: Settings, runner: Runner) -> Sequence[Finding]:
    """Nothing to find where nothing runs yet, or never two at once."""
    if settings.switch.strategy is Strategy.STOP_FIRST:
        return ()
    live = read_pointer(layout.pointer)
    view = runner.observe(live) if live is not None else None
    if live is None or view is None or view.status is not SlotStatus.RUNNING:
        return ()
    room, beside = observe_room(view.pids), runner.observe(live.other)
    if beside.has_processes:  # it ends before the candidate starts
        room = give_back(room, observe_room(beside.pids))
    counts = len(settings.web.addresses(live)), len(settings.web.addresses(live.other))
    return [
        *judge_room(room, live, required=settings.switch.require_room, counts=counts),
        *_check_connections(layout, settings, live, release=view.release, counts=counts),
    ]


def _check_connections(
    layout: Layout, settings: Settings, live: Slot, *, release: ReleaseNumber | None, counts: tuple[int, int]
) -> Sequence[Finding]:
    """Asked of whoever knows: the owner's command, as the live release itself would ask. One that fails, or prints
    something else, tells nothing."""
    command = settings.switch.connections
    if command is None or release is None:
        return ()
    ask, tree = make_ask_process(layout, user=settings.user), layout.release(release) / "tree"
    answer = ask(WEB, live, command, tree=tree, timeout_s=_CONNECTIONS_TIMEOUT_S)
    numbers = answer.head.split()
    if not answer.ok or len(numbers) != _NUMBERS_COUNT or not all(map(str.isdecimal, numbers)):
        why = answer.reason or f"it printed {answer.head!r}, not two numbers"
        return (warning("room for two", f"`switch.connections` tells nothing: {why}", fix=command),)
    used_count, free_count = map(int, numbers)
    view = ConnectionsView(used_count=used_count, free_count=free_count)
    return (judge_connections(view, live, required=settings.switch.require_room, counts=counts),)
