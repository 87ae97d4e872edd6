"""A slot that lives on after the bless for its streams: how that begins, whether it still does, and its end.

The journal has that it began; whether it goes on, router and processes say. Nothing here waits for the streams: the
operation ends, and whoever watches the slot afterwards orders its end, or the next operation that needs the place.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from celadon.deploy.alone import runs_alone
from celadon.deploy.kinds import Watch, count_kinds
from celadon.deploy.retire import drain, retire, still_runs, stop_drained
from celadon.deploy.run import Run
from celadon.events import LingeringBegan, Repaired, SlotStopped
from celadon.model.connections import Connection, KindCounts
from celadon.model.lingering import Lingering
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import RouteView, SlotView
from celadon.model.settings import DrainPolicy, DrainWay

_AT_ONCE = DrainPolicy(way=DrainWay.CLOSE_AFTER, after_s=0.0)


def is_lingering(lingering: Lingering | None, route: RouteView, view: SlotView) -> bool:
    """Whether what `view` shows is what was left for its streams. Pure. Its limit may be over."""
    return (
        lingering is not None
        and lingering.slot is view.slot
        and lingering.release == view.release
        and view.has_processes
        and not route.reaches(view.slot)
    )


def lingers(run: Run, slot: Slot) -> bool:
    if run.lingering is None or run.lingering.slot is not slot:
        return False
    return is_lingering(run.lingering, run.ports.proxy.observe(), run.ports.runner.observe(slot))


def count_open(watch: Watch, connections: Iterable[Connection], lingering: Lingering, *, now_s: float) -> KindCounts:
    """Requests are streams too: those of visitors have ended before it began to linger, and a stream that just talks
    looks like one."""
    return count_kinds(watch.judge(connections, left_s=now_s - lingering.since_s))


def retire_or_linger(run: Run, slot: Slot, *, release: ReleaseNumber | None) -> None:
    """At the bless. Idempotent: what lingers by now goes on, within the limit that it has."""
    policy, clock = run.plan.settings.drain.streams, run.ports.clock
    if policy.way is not DrainWay.LINGER:
        retire(run, slot, release=release)
        return
    if lingers(run, slot) or not still_runs(run, slot):
        return
    began_s = clock.now_s()
    run.ports.reached("draining")
    drained = drain(run, slot, run.plan.settings.drain)
    if not drained.left.streams_count:
        stop_drained(run, slot, drained, release=release, began_s=began_s)
        return
    since_s, limit_s = clock.now_s(), policy.after_s
    run.ports.reached("before_lingering")
    run.note(LingeringBegan(slot=slot, release=release, left=drained.left, since_s=since_s, limit_s=limit_s))
    run.lingering = Lingering(slot=slot, release=release, since_s=since_s, limit_s=limit_s, until_at=0.0)
    run.ports.reached("lingering")


def end_lingering(run: Run) -> None:
    """Its place is needed, its limit is over, or its streams have ended. What is left of these is cut, and told.
    Nothing to do where nothing lingers."""
    lingering = run.lingering
    if lingering is None:
        return
    slot, release = lingering.slot, lingering.release
    if lingers(run, slot):
        run.ports.reached("lingering_ends")
        patience = replace(run.plan.settings.drain, streams=_AT_ONCE)
        retire(run, slot, release=release, patience=patience, left_since_s=lingering.since_s)
    elif not run.ports.proxy.observe().reaches(slot) and not still_runs(run, slot):
        run.note(Repaired(what="lingering_gone", slot=slot))
        run.note(SlotStopped(slot=slot, release=release, cut_count=0, left=KindCounts(), killed=False, duration_s=0.0))
    run.lingering = None


def may_go_on(run: Run) -> bool:
    """Nothing needs its place, and its limit is not over."""
    lingering = run.lingering
    if lingering is None or runs_alone(run) or not lingers(run, lingering.slot):
        return False
    return lingering.left_s(run.ports.clock.now_s()) > 0.0
