"""The new release's workers, looked at all through the window: each one that runs by now is to run on."""

from typing import Final

from celadon.deploy.run import Run
from celadon.model.names import Slot
from celadon.model.observed import WHOLE, SlotStatus, SlotView
from celadon.model.processes import Handover, WorkerSettings

_LOOK_EVERY_S: Final = 1.0
"""To ask systemd or an engine about one costs some ten milliseconds of a core."""


class Jobs:
    """Began when it was made. While a share is held there is nothing to look at: workers follow the switch."""

    def __init__(self, run: Run, *, percent: int) -> None:
        self._run = run
        self._slot: Slot = run.plan.candidate
        workers = run.plan.settings.workers if percent == WHOLE else ()
        self._workers = [each for each in workers if each.handover is not Handover.AFTER_BLESS]
        self._restarts_counts: dict[str, int] = {}
        self._looked_s: float | None = None

    def find_fault(self, *, is_last: bool) -> tuple[str, str] | None:
        """Rule and reason. Looks once a second, and at the last."""
        now_s = self._run.ports.clock.now_s()
        if self._looked_s is not None and now_s - self._looked_s < _LOOK_EVERY_S and not is_last:
            return None
        self._looked_s = now_s
        for worker in self._workers:
            fault = self._look(worker)
            if fault is not None:
                return fault
        return None

    def _look(self, worker: WorkerSettings) -> tuple[str, str] | None:
        for process in worker.processes:
            view = self._run.ports.runner_of(process).observe(self._slot)
            if view.status is not SlotStatus.RUNNING:
                return "worker", f"the worker {process} ended{_describe_end(view)}"
            restarts_count = view.restarts_count - self._restarts_counts.setdefault(process, view.restarts_count)
            if restarts_count > 0:
                return "worker_restarts", f"the worker {process} was started again since the switch"
        return None


def _describe_end(view: SlotView) -> str:
    code = f" with code {view.exit_code}" if view.exit_code is not None and view.exit_code >= 0 else ""
    return f"{code}: {view.exit_reason}" if view.exit_reason else code
