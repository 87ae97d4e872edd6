"""A slot that lives on for its streams, over a machine in memory: what the deploy waits for, what ends it, what is
told."""

import pytest
from msgspec.structs import replace

from celadon.deploy.kinds import Watch
from celadon.deploy.ledger import read_ledger
from celadon.deploy.lingering import count_open, is_lingering
from celadon.deploy.tenure import read_tenures
from celadon.events import BootEnabled, CandidateStarting, LingeringBegan, Repaired, SlotStopped, SwitchSeen
from celadon.model.connections import Connection, KindCounts
from celadon.model.lingering import Lingering
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import RouteView, SlotStatus, SlotView
from celadon.model.plan import Outcome
from celadon.model.processes import WorkerSettings
from celadon.model.settings import DrainPolicy, DrainWay, ProxyKind, Settings, Strategy
from tests.fakes.world import Nature, World, events_of, make_settings
from tests.unit.test_engine_drain import close_after, drained_s, idle, last_stop, request, stream

LIMIT_S = 7200.0


def lingering(limit_s: float = LIMIT_S) -> Settings:
    settings = make_settings()
    return replace(settings, drain=replace(settings.drain, streams=DrainPolicy(way=DrainWay.LINGER, after_s=limit_s)))


def with_lingering_r1(*, streams_count: int = 2) -> World:
    """r2 is live in green, r1 lives on in blue."""
    world = World()
    assert world.deploy(1) is Outcome.DONE
    world.left_open = lambda _: [stream(number) for number in range(streams_count)]
    assert world.deploy(2, settings=lingering()) is Outcome.DONE
    return world


def runs(world: World, slot: Slot) -> int | None:
    process = world.slots[slot]
    return process.release if process is not None else None


def test_a_deploy_ends_while_the_old_slot_lives_on_for_its_streams() -> None:
    """At once, and as done; the streams' release runs on, is not started at boot, and nothing was cut."""
    world = with_lingering_r1()
    assert (world.route, runs(world, Slot.GREEN), runs(world, Slot.BLUE)) == (Slot.GREEN, 2, 1)
    assert world.boot == {Slot.GREEN}
    [began] = events_of(world, LingeringBegan)
    assert (began.slot, began.release, began.limit_s) == (Slot.BLUE, 1, LIMIT_S)
    assert began.left == KindCounts(streams_count=2)
    assert drained_s(world) < 1.0
    assert events_of(world, SlotStopped) == []
    assert read_ledger(world.entries).unsettled is None


def test_requests_and_idle_connections_are_drained_before_a_slot_is_left_to_its_streams() -> None:
    """Each by its own policy, as ever."""
    world = World()
    assert world.deploy(1) is Outcome.DONE
    began_s: list[float] = []

    def left_open(now_s: float) -> list[Connection]:
        began_s.append(now_s)
        passed_s = now_s - began_s[0]
        return [*([request(1)] if passed_s < 12.0 else []), *([idle(2, passed_s)] if passed_s < 4.0 else []), stream(3)]

    world.left_open = left_open
    assert world.deploy(2, settings=lingering()) is Outcome.DONE
    assert 12.0 <= drained_s(world) < 12.5
    assert events_of(world, LingeringBegan)[-1].left == KindCounts(streams_count=1)


@pytest.mark.parametrize(("left", "waits"), [([stream(1)], False), ([], True)])
def test_a_proxys_old_worker_that_holds_a_stream_is_not_waited_for(left: list[Connection], *, waits: bool) -> None:
    """A reload leaves one for as long as the stream lives. Where the slot is to be stopped it is waited for."""
    world = World()
    assert world.deploy(1) is Outcome.DONE
    world.left_open, world.old_workers_count = (lambda _: left), 1
    settings = lingering()
    assert world.deploy(2, settings=settings) is Outcome.DONE
    assert (drained_s(world) >= settings.drain.timeout_s) is waits
    assert (world.lingering is None) is waits


def test_a_slot_without_streams_is_stopped_as_ever() -> None:
    """Whatever its streams might do: there are none."""
    world = World()
    assert world.deploy(1) is Outcome.DONE
    world.left_open = lambda _: [idle(1, 50.0)]
    assert world.deploy(2, settings=lingering()) is Outcome.DONE
    assert (runs(world, Slot.BLUE), events_of(world, LingeringBegan)) == (None, [])
    assert last_stop(world).left == KindCounts(idle_count=1)


def test_what_lingers_is_left_alone_until_its_limit() -> None:
    """A recovery with nothing to mend goes past it; after the limit it ends the slot and tells what was cut."""
    world = with_lingering_r1()
    world.now_s += LIMIT_S - 10.0
    assert not world.settle()
    assert runs(world, Slot.BLUE) == 1
    world.now_s += 10.0
    assert world.settle()
    assert runs(world, Slot.BLUE) is None
    assert (last_stop(world).cut_count, last_stop(world).left) == (2, KindCounts(streams_count=2))
    assert (world.lingering, world.settle()) == (None, False)


def test_what_lingers_ends_when_it_is_told_to() -> None:
    """Streams that are left get no more time; a request that is in flight all the same does."""
    world = with_lingering_r1()
    began_s = world.now_s
    world.left_open = lambda now_s: [stream(1), *([request(2)] if now_s - began_s < 3.0 else [])]
    assert world.retire_lingering() is Outcome.DONE
    assert runs(world, Slot.BLUE) is None
    assert 3.0 <= last_stop(world).duration_s < 3.5
    assert last_stop(world).left == KindCounts(streams_count=1)


def test_streams_through_a_pooling_proxy_end_at_once_when_their_place_is_needed() -> None:
    """The route left long ago: no pool still holds them."""
    settings = lingering()
    settings = replace(settings, proxy=replace(settings.proxy, kind=ProxyKind.HAPROXY))
    world = World()
    assert world.deploy(1) is Outcome.DONE
    world.left_open = lambda _: [stream(1)]
    assert world.deploy(2, settings=settings) is Outcome.DONE
    world.now_s += 60.0
    world.deploy(3, settings=settings)
    stopped = events_of(world, SlotStopped)[0]
    assert stopped.left == KindCounts(streams_count=1)
    assert stopped.duration_s < 0.1


def test_the_next_deploy_tells_what_it_cuts_before_its_candidate_starts() -> None:
    """In the slot that it needs; then the slot that it takes over from may linger in its turn."""
    world = with_lingering_r1()
    assert world.deploy(3, settings=lingering()) is Outcome.DONE
    told = [type(entry.body) for entry in world.entries if isinstance(entry.body, SlotStopped | CandidateStarting)]
    assert told[-2:] == [SlotStopped, CandidateStarting]
    assert (last_stop(world).slot, last_stop(world).release, last_stop(world).cut_count) == (Slot.BLUE, 1, 2)
    assert (runs(world, Slot.BLUE), runs(world, Slot.GREEN)) == (3, 2)
    assert world.lingering is not None
    assert world.lingering.slot is Slot.GREEN


def test_a_deploy_that_fails_before_it_needs_the_slot_leaves_the_streams_alone() -> None:
    """What lingers was never its own."""
    world = with_lingering_r1()
    world.failing_hook = "pre_deploy"
    assert world.deploy(3, settings=lingering()) is Outcome.REJECTED
    assert (runs(world, Slot.BLUE), events_of(world, SlotStopped)) == (1, [])
    assert world.lingering is not None


def test_a_rollback_to_what_lingers_is_a_switch_and_keeps_its_streams() -> None:
    """Nothing is started or stopped in the slot, which is up at boot again before the route moves; no window, no wait.
    It lingers no longer."""
    world = with_lingering_r1()
    pid = world.slots[Slot.BLUE]
    world.left_open, began_s = None, world.now_s
    assert world.roll_back_to_lingering() is Outcome.ROLLED_BACK
    assert (world.route, world.slots[Slot.BLUE], runs(world, Slot.GREEN)) == (Slot.BLUE, pid, None)
    assert world.boot == {Slot.BLUE}
    assert world.now_s - began_s < 0.1
    kinds = [type(entry.body) for entry in world.entries]
    assert kinds.index(BootEnabled, kinds.index(LingeringBegan)) < len(kinds) - 1 - kinds[::-1].index(SwitchSeen)
    assert world.lingering is None
    assert world.deploy(3) is Outcome.DONE


def test_workers_of_what_lingers_come_back_with_it() -> None:
    """They ended at the bless: no job waits for a stream."""
    workers = (WorkerSettings(name="mail", command="mail"),)
    world = World()
    assert world.deploy(1, settings=replace(make_settings(), workers=workers)) is Outcome.DONE
    world.left_open = lambda _: [stream(1)]
    assert world.deploy(2, settings=replace(lingering(), workers=workers)) is Outcome.DONE
    assert world.others.in_slot(Slot.BLUE) == {}
    world.left_open = None
    assert world.roll_back_to_lingering() is Outcome.ROLLED_BACK
    assert (world.others.in_slot(Slot.BLUE), world.others.in_slot(Slot.GREEN)) == ({"mail": 1}, {})


def test_nothing_lingers_of_a_release_that_was_taken_back() -> None:
    """Its streams get what the drain gives."""
    world = World(natures={2: Nature.SICK_UNDER_TRAFFIC})
    assert world.deploy(1) is Outcome.DONE
    world.left_open = lambda _: [stream(1)]
    settings = lingering()
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert drained_s(world) >= settings.drain.timeout_s
    assert last_stop(world).left == KindCounts(streams_count=1)
    assert events_of(world, LingeringBegan) == []


def test_a_slot_that_died_with_its_streams_is_told_as_gone() -> None:
    """A restart of the machine starts it no more: nothing was cut by anybody of ours."""
    world = with_lingering_r1()
    world.reboot()
    assert runs(world, Slot.BLUE) is None
    world.settle()
    assert events_of(world, Repaired)[-1].what == "lingering_gone"
    assert (last_stop(world).cut_count, world.lingering) == (0, None)


def test_what_runs_in_the_place_of_what_lingered_is_an_orphan() -> None:
    """The journal's word is for one release: another one there is stopped."""
    world = with_lingering_r1()
    world.spawn(Slot.BLUE, ReleaseNumber(7))
    assert world.settle()
    assert runs(world, Slot.BLUE) is None
    assert "orphan_stopped" in [repaired.what for repaired in events_of(world, Repaired)]


def test_nothing_lingers_beside_an_app_that_may_not_run_twice() -> None:
    """Where the strategy has changed since, the next settling ends it."""
    world = with_lingering_r1()
    settings = make_settings(strategy=Strategy.STOP_FIRST)
    assert world.settle(settings=settings)
    assert runs(world, Slot.BLUE) is None
    assert events_of(world, Repaired) == []
    assert last_stop(world).duration_s < 1.0


@pytest.mark.parametrize(("now_s", "left_s"), [(100.0, 60.0), (130.0, 30.0), (160.0, 0.0), (900.0, 0.0), (99.0, 0.0)])
def test_a_limit_is_over_after_a_restart_of_the_machine(now_s: float, left_s: float) -> None:
    """Its clock begins anew, and what it says is before the beginning."""
    lingers = Lingering(slot=Slot.BLUE, release=ReleaseNumber(1), since_s=100.0, limit_s=60.0, until_at=0.0)
    assert lingers.left_s(now_s) == left_s


def test_a_stream_that_talks_counts_in_the_first_look() -> None:
    """It looks like a request then, and no request is left: both hold the slot. What is idle does not."""
    lingers = Lingering(slot=Slot.BLUE, release=ReleaseNumber(1), since_s=0.0, limit_s=60.0, until_at=0.0)
    talking = replace(stream(2), unheard_s=0.2, unsaid_s=0.1)
    kinds = count_open(Watch(pooled_s=10.0), [stream(1), talking, idle(3, 50.0)], lingers, now_s=50.0)
    assert kinds == KindCounts(requests_count=1, idle_count=1, streams_count=1)


def test_streams_that_are_not_to_linger_do_not() -> None:
    """Each other policy stops the slot."""
    for policy in (close_after(0.0), DrainPolicy(way=DrainWay.SIGNAL), DrainPolicy(way=DrainWay.WAIT)):
        settings = make_settings()
        world = World()
        assert world.deploy(1) is Outcome.DONE
        world.left_open = lambda _: [stream(1)]
        settings = replace(settings, drain=replace(settings.drain, streams=policy))
        assert world.deploy(2, settings=settings) is Outcome.DONE
        assert (runs(world, Slot.BLUE), world.lingering) == (None, None)


def test_what_counts_as_usual_follows_the_way_back_to_what_lingers() -> None:
    """From the intent on nothing counts for the release that is left, and afterwards its predecessor does."""
    world = with_lingering_r1()
    world.left_open = None
    assert world.roll_back_to_lingering() is Outcome.ROLLED_BACK
    assert [tenure.slot for tenure in read_tenures(world.entries)] == [Slot.BLUE, Slot.GREEN, Slot.BLUE]


def test_what_the_proxy_routes_to_is_live_whatever_the_journal_has() -> None:
    """It is no slot that may be ended for its place."""
    left = Lingering(slot=Slot.BLUE, release=ReleaseNumber(1), since_s=0.0, limit_s=60.0, until_at=60.0)
    view = SlotView(slot=Slot.BLUE, status=SlotStatus.RUNNING, release=ReleaseNumber(1), pids=(7,))
    assert is_lingering(left, RouteView(slot=Slot.GREEN, seen=True), view)
    assert not is_lingering(left, RouteView(slot=Slot.BLUE, seen=True), view)
