"""Ending what runs in a slot that the route has left: count what is open, wait, stop, say what was cut."""

from msgspec import Struct
from msgspec.structs import replace

from celadon.deploy.kinds import Judged, Watch, count_kinds
from celadon.deploy.patience import is_awaited
from celadon.deploy.replicas import list_open
from celadon.deploy.run import Run
from celadon.events import BootDisabled, DrainCounted, SlotStopped
from celadon.model.connections import KindCounts
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.settings import POOLED_S, DrainPolicy, DrainSettings, DrainWay

_COUNT_EVERY_S = 0.05
_COUNT_EVERY_S_AT_MOST = 3.0
_COUNT_SHARE = 0.005
"""Of a core: the larger the machine's table of connections, the rarer it is asked."""
_COUNT_FREE_S = 0.08
"""Of CPU that is not held against it: the first look finds out who is at the other ends, and most drains are short."""
_REPORT_EVERY_S = 1.0


class Drained(Struct, frozen=True):
    """`left` are connections that were open at the end, of which the app is to close `signalled_count` itself."""

    left: KindCounts
    signalled_count: int


def disable_boot(run: Run, slot: Slot) -> None:
    run.ports.runner.set_boot(slot, enabled=False)
    run.note(BootDisabled(slot=slot))


def retire(
    run: Run,
    slot: Slot,
    *,
    release: ReleaseNumber | None,
    patience: DrainSettings | None = None,
    left_since_s: float | None = None,
) -> None:
    """Drain, then stop. `patience`: where it is not that of the settings, under which nothing lingers here: streams get
    the time that there is. `left_since_s`: when the route left, where it was not this process that moved it."""
    if not still_runs(run, slot):
        return
    began_s = run.ports.clock.now_s()
    run.ports.reached("draining")
    settings = patience or _wait_for_streams(run.plan.settings.drain)
    drained = drain(run, slot, settings, left_since_s=left_since_s)
    stop_drained(run, slot, drained, release=release, began_s=began_s)


def still_runs(run: Run, slot: Slot) -> bool:
    """What has ended is cleared away. Never called for the slot that is routed: to stop that one would be the worst
    thing this program could do, so it is checked here, against the proxy, once more."""
    if run.ports.proxy.observe().reaches(slot):
        raise StepError(
            f"the proxy still routes to {slot}: it is not stopped", code="slot_is_routed", next_command="celadon check"
        )
    if run.ports.runner.observe(slot).has_processes:
        return True
    run.ports.runner.stop(slot, grace_s=0.0)
    return False


def stop_drained(run: Run, slot: Slot, drained: Drained, *, release: ReleaseNumber | None, began_s: float) -> None:
    run.ports.reached("before_stop")
    stopped = run.ports.runner.stop(slot, grace_s=run.plan.settings.drain.stop_timeout_s)
    run.ports.reached("after_stop")
    run.note(
        SlotStopped(
            slot=slot,
            release=release,
            cut_count=drained.left.total_count,
            left=drained.left,
            signalled_count=drained.signalled_count,
            killed=stopped.killed,
            duration_s=run.ports.clock.now_s() - began_s,
        )
    )


def _wait_for_streams(settings: DrainSettings) -> DrainSettings:
    if settings.streams.way is not DrainWay.LINGER:
        return settings
    return replace(settings, streams=DrainPolicy(way=DrainWay.WAIT))


def drain(run: Run, slot: Slot, settings: DrainSettings, *, left_since_s: float | None = None) -> Drained:
    """Wait until no connection of `slot` is awaited any more and no proxy worker is on an old route, at most
    `drain.timeout`. A worker that goes on for a stream is as welcome as the stream."""
    clock = run.ports.clock
    watch = Watch(pooled_s=POOLED_S[run.plan.settings.proxy.kind])
    began_s, spent_before_s = clock.now_s(), clock.spent_s()
    since_s = began_s if left_since_s is None else left_since_s
    reported_s = -_REPORT_EVERY_S
    lingering = run.ports.proxy.observe().lingering_count
    while True:
        elapsed_s = clock.now_s() - began_s
        open_ones = list_open(run.ports.sockets, run.addresses(slot))
        judged = watch.judge(open_ones, left_s=run.left_s(since_s=since_s))
        if lingering:
            lingering = run.ports.proxy.observe().lingering_count
        awaited = any(is_awaited(each, settings, elapsed_s=elapsed_s) for each in judged)
        goes_on = settings.streams.way is DrainWay.LINGER and count_kinds(judged).streams_count > 0
        over = (not awaited and (lingering == 0 or goes_on)) or elapsed_s >= settings.timeout_s
        if over or elapsed_s - reported_s >= _REPORT_EVERY_S:
            run.note(_describe(slot, judged, lingering_count=lingering, elapsed_s=elapsed_s))
            reported_s = elapsed_s
        if over:
            return _conclude(judged, settings.streams.way)
        pause_s = _choose_pause(clock.spent_s() - spent_before_s, elapsed_s=elapsed_s)
        clock.wait(min(pause_s, max(0.0, settings.timeout_s - elapsed_s)))


def _choose_pause(spent_s: float, *, elapsed_s: float) -> float:
    """Until what was spent is no more than its share of the time."""
    earned_s = (spent_s - _COUNT_FREE_S) / _COUNT_SHARE
    return min(max(_COUNT_EVERY_S, earned_s - elapsed_s), _COUNT_EVERY_S_AT_MOST)


def _describe(slot: Slot, judged: list[Judged], *, lingering_count: int, elapsed_s: float) -> DrainCounted:
    return DrainCounted(
        slot=slot,
        connections_count=len(judged),
        kinds=count_kinds(judged),
        lingering_workers_count=lingering_count,
        elapsed_s=elapsed_s,
    )


def _conclude(judged: list[Judged], streams: DrainWay) -> Drained:
    left = count_kinds(judged)
    return Drained(left, left.streams_count if streams is DrainWay.SIGNAL else 0)
