"""The end of an old slot over a machine in memory: what is waited for, what is cut, and what is said of it."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from celadon.events import DrainCounted, SlotStopped
from celadon.model.connections import Connection, KindCounts, Peer
from celadon.model.plan import Outcome
from celadon.model.settings import POOLED_S, DrainPolicy, DrainSettings, DrainWay, ProxyKind, Settings
from celadon.sinks.phrases import describe_stop
from tests.fakes.world import World, events_of, make_settings

LATER_S = 1e6


def with_r1() -> World:
    world = World()
    assert world.deploy(1) is Outcome.DONE
    return world


def draining(**policies: DrainPolicy) -> Settings:
    settings = make_settings()
    return replace(settings, drain=replace(settings.drain, **policies))


def close_after(after_s: float) -> DrainPolicy:
    return DrainPolicy(way=DrainWay.CLOSE_AFTER, after_s=after_s)


def request(number: int) -> Connection:
    return Connection(id=number, received_bytes=80, unheard_s=LATER_S, unsaid_s=LATER_S)


def idle(number: int, quiet_s: float) -> Connection:
    return Connection(
        id=number, peer=Peer.OTHER, received_bytes=80, sent_bytes=900, unheard_s=quiet_s, unsaid_s=quiet_s
    )


def stream(number: int) -> Connection:
    """A silent WebSocket of nginx's."""
    return Connection(id=number, peer=Peer.PROXY, received_bytes=80, sent_bytes=900, unheard_s=50.0, unsaid_s=50.0)


def last_stop(world: World) -> SlotStopped:
    return events_of(world, SlotStopped)[-1]


def drained_s(world: World) -> float:
    return events_of(world, DrainCounted)[-1].elapsed_s


def test_an_idle_connection_does_not_hold_up_a_drain() -> None:
    """It is not waited for once it has been quiet for its time, and is counted as what it is."""
    world = with_r1()
    began_s = world.now_s
    world.left_open = lambda now_s: [idle(1, now_s - began_s)]
    assert world.deploy(2) is Outcome.DONE
    assert drained_s(world) < 5.0
    assert last_stop(world).left == KindCounts(idle_count=1)
    assert last_stop(world).cut_count == 1


def test_an_idle_connection_is_waited_for_where_its_policy_says_so() -> None:
    """Until the drain's timeout."""
    world = with_r1()
    world.left_open = lambda _: [idle(1, 50.0)]
    settings = draining(idle=DrainPolicy(way=DrainWay.WAIT))
    assert world.deploy(2, settings=settings) is Outcome.DONE
    assert drained_s(world) >= settings.drain.timeout_s


@pytest.mark.parametrize(
    ("policies", "ends_s"),
    [
        ({}, 30.0),
        ({"streams": close_after(3.0)}, 12.0),
        ({"streams": close_after(20.0)}, 20.0),
        ({"streams": DrainPolicy(way=DrainWay.SIGNAL)}, 12.0),
        ({"streams": close_after(3.0), "requests": close_after(6.0)}, 6.0),
    ],
)
def test_each_kind_is_waited_for_by_its_own_policy(policies: dict[str, DrainPolicy], ends_s: float) -> None:
    """A request of twelve seconds beside a stream without an end: the longer of what both may take."""
    world = with_r1()
    began_s: list[float] = []

    def left_open(now_s: float) -> list[Connection]:
        began_s.append(now_s)
        return [*([request(1)] if now_s - began_s[0] < 12.0 else []), stream(2)]

    world.left_open = left_open
    assert world.deploy(2, settings=draining(**policies)) is Outcome.DONE
    assert ends_s <= drained_s(world) < ends_s + 0.5
    in_time = ends_s >= 12.0
    assert last_stop(world).left == KindCounts(requests_count=0 if in_time else 1, streams_count=1)


def test_streams_that_the_app_is_to_close_are_not_told_as_cut() -> None:
    """Unless SIGKILL did it."""
    world = with_r1()
    world.left_open = lambda _: [stream(1), stream(2), idle(3, 50.0)]
    settings = draining(streams=DrainPolicy(way=DrainWay.SIGNAL))
    assert world.deploy(2, settings=settings) is Outcome.DONE
    stopped = last_stop(world)
    told = describe_stop(stopped)
    assert told.endswith("; 1 connection cut (1 idle); 2 streams left to the app's own closing")
    assert describe_stop(replace(stopped, killed=True)).endswith(", by SIGKILL; 3 connections cut (1 idle, 2 streams)")
    assert (stopped.cut_count, stopped.signalled_count, stopped.killed) == (3, 2, False)


def test_a_proxys_pooled_connection_is_left_to_the_proxy() -> None:
    """Nobody knows yet that it is no stream: it is counted as idle, and waited for, until the pool is empty. That time
    counts from the switch."""
    world = with_r1()
    world.left_open = lambda _: [stream(1)]
    settings = draining(idle=close_after(0.0), streams=close_after(0.0))
    settings = replace(settings, proxy=replace(settings.proxy, kind=ProxyKind.HAPROXY))
    assert world.deploy(2, settings=settings) is Outcome.DONE
    kinds = [counted.kinds for counted in events_of(world, DrainCounted)]
    assert KindCounts(idle_count=1) in kinds
    assert last_stop(world).left == KindCounts(streams_count=1)
    since_the_move_s = drained_s(world) + settings.observe.window_s
    assert since_the_move_s == pytest.approx(POOLED_S[ProxyKind.HAPROXY], abs=0.5)


def test_the_count_is_told_each_second_by_kind() -> None:
    """While it lasts and when it ends."""
    world = with_r1()
    world.left_open = lambda _: [request(1), request(2), stream(3)]
    settings = replace(make_settings(), drain=DrainSettings(timeout_s=3.0))
    assert world.deploy(2, settings=settings) is Outcome.DONE
    counted = [event for event in events_of(world, DrainCounted) if event.connections_count]
    assert len(counted) >= 4
    assert {event.kinds for event in counted} == {KindCounts(requests_count=2, streams_count=1)}


@pytest.mark.parametrize("counting_takes_s", [0.0, 0.002, 0.006, 0.012])
def test_looking_is_paid_for_by_waiting(counting_takes_s: float) -> None:
    """At most half a percent of a core in the long run; soon after the first look, every three seconds at least."""
    world = with_r1()
    world.left_open = lambda _: [request(1)]
    world.counting_takes_s = counting_takes_s
    assert world.deploy(2) is Outcome.DONE
    looks = world.counted_at_s
    pauses_s = [later - earlier for earlier, later in pairwise(looks)]
    assert pauses_s[0] == pytest.approx(0.05, abs=1e-3)
    assert max(pauses_s) <= 3.0 + 1e-3
    assert len(looks) * counting_takes_s <= 0.005 * (looks[-1] - looks[0]) + 0.08 + 2 * counting_takes_s
    assert counting_takes_s or len(looks) > 500
