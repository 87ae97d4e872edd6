"""The replicas of the process that answers requests, as one: what runs in a slot is all of them.

Each is a process of its own of the app's runner, with a unit or container, a directory and a log of its own, as workers
have. What an earlier count has left is ended with the others, and is looked for on disk.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from celadon.contracts.runner import Runner
from celadon.host.layout import Layout
from celadon.model.names import Slot
from celadon.model.observed import Finding, SlotStatus, SlotView, Stopped
from celadon.model.processes import WEB
from celadon.model.release import Release
from celadon.model.settings import WebSettings


class ReplicatedRunner:
    """Implements contracts.runner.Runner. `runner_of` gives that of a replica, by the name of its process."""

    def __init__(self, layout: Layout, web: WebSettings, runner_of: Callable[[str], Runner]) -> None:
        self._layout = layout
        self._web = web
        self._runner_of = runner_of

    def check(self) -> Sequence[Finding]:
        return self._runner_of(WEB).check()

    def start(self, slot: Slot, release: Release) -> SlotView:
        """One after the other; the first that cannot be started is the last that is tried."""
        return merge_views(
            slot, {name: self._runner_of(name).start(slot, release) for name in self._web.replicas(slot)}
        )

    def observe(self, slot: Slot) -> SlotView:
        views = {name: self._runner_of(name).observe(slot) for name in self._web.replicas(slot)}
        return merge_views(slot, views, left=[self._runner_of(name).observe(slot) for name in self._list_left(slot)])

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        for name in self._web.replicas(slot):
            self._runner_of(name).set_boot(slot, enabled=enabled)
        for name in self._list_left(slot):
            self._runner_of(name).set_boot(slot, enabled=False)

    def signal(self, slot: Slot, name: str) -> None:
        for replica in self._web.replicas(slot):
            self._runner_of(replica).signal(slot, name)

    def stop(self, slot: Slot, *, grace_s: float) -> Stopped:
        """All at once: it blocks for one grace, however many they are."""
        runners = [self._runner_of(name) for name in (*self._web.replicas(slot), *self._list_left(slot))]
        with ThreadPoolExecutor(max_workers=len(runners)) as pool:
            stopped = list(pool.map(lambda runner: runner.stop(slot, grace_s=grace_s), runners))
        return Stopped(
            slot=slot, killed=any(each.killed for each in stopped), took_s=max(each.took_s for each in stopped)
        )

    def tail(self, slot: Slot, *, lines_count: int) -> Sequence[str]:
        """Each line with its replica before it; of those that do not run, where there are any: they have something to
        tell."""
        names = list(self._web.replicas(slot))
        ended = [name for name in names if self._runner_of(name).observe(slot).status is not SlotStatus.RUNNING]
        told = ended or names
        each_count = max(1, lines_count // len(told))
        return [f"{name}: {line}" for name in told for line in self._runner_of(name).tail(slot, lines_count=each_count)]

    def _list_left(self, slot: Slot) -> list[str]:
        """Replicas of an earlier count that the slot has or had."""
        wanted = self._web.replicas(slot)
        return [name for name in self._layout.list_web_replicas() if name not in wanted and self._was_in(name, slot)]

    def _was_in(self, name: str, slot: Slot) -> bool:
        return (self._layout.home / "processes" / name / slot.value).is_dir()


def merge_views(slot: Slot, views: Mapping[str, SlotView], *, left: Sequence[SlotView] = ()) -> SlotView:
    """Pure. A slot runs when every replica does. One of which some run and some do not has ended, and has processes all
    the same; the first that does not run says why. `left`: what an earlier count has left there."""
    seen = [*views.values(), *(view for view in left if view.status is SlotStatus.RUNNING)]
    down = {name: view for name, view in views.items() if view.status is not SlotStatus.RUNNING}
    first_down = next(iter(down), "")
    limits = [view.memory_limit_bytes for view in views.values()]
    return SlotView(
        slot=slot,
        status=_judge_status(views, down),
        release=next((view.release for view in views.values() if view.release is not None), None),
        pids=tuple(pid for view in seen for pid in view.pids),
        exit_code=down[first_down].exit_code if down else None,
        exit_reason=_describe_down(first_down, down[first_down]) if down else "",
        restarts_count=sum(view.restarts_count for view in seen),
        rss_bytes=sum(view.rss_bytes for view in seen),
        killed_for_memory=any(view.killed_for_memory for view in seen),
        memory_limit_bytes=sum(filter(None, limits)) if all(limits) else None,
    )


def _judge_status(views: Mapping[str, SlotView], down: Mapping[str, SlotView]) -> SlotStatus:
    if not down:
        return SlotStatus.RUNNING
    never_ran = len(down) == len(views) and all(view.status is SlotStatus.STOPPED for view in down.values())
    return SlotStatus.STOPPED if never_ran else SlotStatus.EXITED


def _describe_down(name: str, view: SlotView) -> str:
    if view.status is SlotStatus.STOPPED:
        return f"{name} does not run"
    return f"{name}: {view.exit_reason}" if view.exit_reason else name
