"""Room for a candidate beside what is live, looked at before anything is done."""

from collections.abc import Sequence

from celadon.contracts.runner import Runner
from celadon.host.layout import Layout
from celadon.host.pointer import read_pointer
from celadon.host.room import observe_room
from celadon.model.observed import Finding, SlotStatus
from celadon.model.settings import Settings, Strategy
from celadon.observe.room import judge_room


def check_room(layout: Layout, settings: Settings, runner: Runner) -> Sequence[Finding]:
    """Nothing to find where nothing runs yet, or never two at once."""
    if settings.switch.strategy is Strategy.STOP_FIRST:
        return ()
    live = read_pointer(layout.pointer)
    view = runner.observe(live) if live is not None else None
    if live is None or view is None or view.status is not SlotStatus.RUNNING:
        return ()
    counts = len(settings.web.addresses(live)), len(settings.web.addresses(live.other))
    return judge_room(observe_room(view.pids), live, required=settings.switch.require_room, counts=counts)
