"""The candidate's process: it ended, it was started again, it was killed for want of memory. Each is a rule of its own,
and each leads back at once."""

from collections import deque
from typing import Final

from celadon.model.observed import HostView, SlotStatus, SlotView

# The kernel counts a kill at once; a large process takes its time to be gone.
_LOOKS_BACK: Final = 40
# As wait(2) tells it, and as a shell does whose child it was.
_KILLED: Final = frozenset({-9, 137})


class Process:
    """The first fault stays: what systemd started again tells less than what it was before."""

    def __init__(self) -> None:
        self._kills: deque[int] = deque(maxlen=_LOOKS_BACK)
        self._faulty: SlotView | None = None
        self.restarts_count = 0

    def take(self, view: SlotView) -> None:
        """`restarts_count` of it are those since the switch."""
        self.restarts_count = view.restarts_count
        if self._faulty is None and (view.status is not SlotStatus.RUNNING or view.restarts_count):
            self._faulty = view

    def take_host(self, view: HostView) -> None:
        """Observed after the process was: a kill that ended it is counted by then."""
        self._kills.append(view.killed_count)

    def find_fault(self) -> tuple[str, str] | None:
        """Rule and reason."""
        view = self._faulty
        if view is None:
            return None
        if view.status is SlotStatus.RUNNING:
            return "restarts", f"the candidate was started again {_times(view.restarts_count)} since the switch"
        kills_count = self._kills[-1] - self._kills[0] if self._kills else 0
        if view.killed_for_memory:
            return "out_of_memory", f"the candidate's process was {view.exit_reason}"
        if view.exit_code in _KILLED and kills_count:
            counted = f"signal 9, while the kernel's own count of such kills rose by {kills_count}"
            return "out_of_memory", f"the candidate's process was killed by the kernel: out of memory ({counted})"
        return "process", f"the candidate's process ended{_describe_end(view)}"


def _describe_end(view: SlotView) -> str:
    """A signal is no code, and its reason names it."""
    code = f" with code {view.exit_code}" if view.exit_code is not None and view.exit_code >= 0 else ""
    return f"{code}: {view.exit_reason}" if view.exit_reason else code


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
