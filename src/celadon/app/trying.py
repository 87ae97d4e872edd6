"""The rule of the window on the live slot as it is now, without a deploy: looks, records nothing, moves nothing."""

from collections.abc import Callable
from contextlib import closing

from msgspec.structs import replace

from celadon.app.compose import JUDGES, keep_asking_slot, make_baselines, make_proxy, make_question, make_runner
from celadon.app.inforce import require_in_force
from celadon.contracts.asking import Asking, NoAsking
from celadon.contracts.judge import Judge
from celadon.contracts.runner import Runner
from celadon.contracts.traffic import Traffic
from celadon.drivers.releases.store import ReleaseStore
from celadon.events import WindowSampled
from celadon.host.control import HostClock
from celadon.host.layout import Layout
from celadon.host.memory import KernelHost
from celadon.model.errors import StepError, UsageError
from celadon.model.names import Slot
from celadon.model.observed import Answer, SlotStatus
from celadon.model.settings import ObserveSettings, Settings
from celadon.model.verdict import Verdict

_TOLD_EVERY_S = 1.0


def judge_live_slot(layout: Layout, *, window_s: float | None, tell: Callable[[WindowSampled], None]) -> Verdict:
    """What a window that opened now would say of the release that is live, with the other slot as the control where one
    runs. Blocks for `window_s` (None: as long as the app's own), unless it is decided before; `tell` is called about
    once a second. Raises UsageError where nothing is live."""
    settings = require_in_force(layout)
    proxy, runner = make_proxy(layout, settings), make_runner(layout, settings)
    slot = proxy.observe().slot
    if slot is None:
        raise UsageError("no slot has traffic", code="nothing_live", next_command="celadon status")
    judge = JUDGES[settings.observe.judge]()(settings.observe, slot, journeys=False)
    learned = make_baselines(layout, settings, proxy).recall()
    if learned is not None:
        judge.take_baseline(learned.baseline, is_armed=learned.is_armed)
    with closing(_ask_hot_slot(layout, settings, runner, slot.other)) as control, closing(proxy.traffic()) as traffic:
        trial = _Trial(judge, runner, slot, control=control, ask=make_question(layout, settings, slot))
        return trial.watch(traffic, settings.observe, window_s or settings.observe.window_s, tell)


def _ask_hot_slot(layout: Layout, settings: Settings, runner: Runner, slot: Slot) -> Asking:
    """By its own release's readiness, as a deploy does; nobody where none runs, or that release cannot be read."""
    view = runner.observe(slot)
    if view.status is not SlotStatus.RUNNING or view.release is None:
        return NoAsking()
    try:
        readiness = ReleaseStore(layout, owner=settings.user).read(view.release).manifest.settings.readiness
    except StepError:
        return NoAsking()
    return keep_asking_slot(layout, replace(settings, readiness=readiness), slot)


class _Trial:
    """One window on one slot. What was restarted before it opened is none of its business."""

    def __init__(self, judge: Judge, runner: Runner, slot: Slot, *, control: Asking, ask: Callable[[], Answer]) -> None:
        self._judge, self._runner, self._slot = judge, runner, slot
        self._control, self._ask = control, ask
        self._host, self._clock = KernelHost(), HostClock()
        self._restarts_count = runner.observe(slot).restarts_count
        self._told_count = 0

    def watch(
        self, traffic: Traffic, settings: ObserveSettings, window_s: float, tell: Callable[[WindowSampled], None]
    ) -> Verdict:
        began_s = told_s = self._clock.now_s()
        while True:
            self._feed(traffic)
            now_s = self._clock.now_s()
            verdict = self._judge.judge(elapsed_s=now_s - began_s, window_s=window_s)
            if verdict is not None:
                return verdict
            if self._judge.needs_control():
                self._control.hurry()
            if now_s - told_s >= _TOLD_EVERY_S:
                tell(self._sample(over_s=now_s - told_s))
                told_s = now_s
            self._clock.wait(max(0.0, min(settings.interval_s, began_s + window_s - now_s)))

    def _sample(self, *, over_s: float) -> WindowSampled:
        evidence = self._judge.evidence()
        new_count = evidence.requests_count - self._told_count
        self._told_count = evidence.requests_count
        return WindowSampled(
            elapsed_s=evidence.elapsed_s,
            window_s=evidence.window_s,
            candidate_requests_per_s=new_count / over_s,
            old_requests_per_s=0.0,
            evidence=evidence,
        )

    def _feed(self, traffic: Traffic) -> None:
        answer, view = self._ask(), self._runner.observe(self._slot)
        for asked in self._control.take():
            self._judge.take_control(asked)
        self._judge.take_process(replace(view, restarts_count=max(0, view.restarts_count - self._restarts_count)))
        self._judge.take_host(self._host.observe())
        self._judge.take_probe(answer)
        self._judge.take_traffic(traffic.read())
