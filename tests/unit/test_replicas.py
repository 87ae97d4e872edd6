"""A slot of several replicas: it is what all of them are."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.app.room import check_room
from celadon.app.scaling import keep_live, level_idle
from celadon.deploy.replicas import ask_every
from celadon.drivers.runners.containers import render_run
from celadon.drivers.runners.replicated import merge_views
from celadon.events import SlotStopped, VerdictReached
from celadon.host.layout import Layout
from celadon.host.pointer import move_pointer, prepare_pointer
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.connections import Connection
from celadon.model.errors import RefusedError
from celadon.model.names import Slot
from celadon.model.observed import Answer, SlotStatus, SlotView
from celadon.model.plan import Outcome
from celadon.model.settings import Settings
from tests.fakes.world import APP, World, WorldRunner, events_of, make_release, make_settings, with_replicas

ROOT = Path("/var/lib/celadon")
RUNS = SlotView(slot=Slot.BLUE, status=SlotStatus.RUNNING, release=make_release(7).number, pids=(10,), rss_bytes=5)
ENDED = SlotView(slot=Slot.BLUE, status=SlotStatus.EXITED, exit_code=3, exit_reason="killed", killed_for_memory=True)
STOPPED = SlotView(slot=Slot.BLUE, status=SlotStatus.STOPPED)


def ports(first: int, count: int = 1) -> tuple[TcpAddress, ...]:
    return tuple(TcpAddress(port=port) for port in range(first, first + count))


def settings_at(blue: tuple[TcpAddress, ...], green: tuple[TcpAddress, ...]) -> Settings:
    settings = make_settings()
    web = replace(settings.web, blue=blue[0], blue_more=blue[1:], green=green[0], green_more=green[1:])
    return replace(settings, web=web)


def test_a_slot_runs_when_every_replica_does() -> None:
    """With the processes and the memory of all, the first one's main process first."""
    limited = replace(RUNS, memory_limit_bytes=50, restarts_count=2)
    view = merge_views(Slot.BLUE, {"web": limited, "web.2": replace(limited, pids=(20, 21), rss_bytes=7)})
    assert (view.status, view.release, view.pids, view.rss_bytes) == (SlotStatus.RUNNING, 7, (10, 20, 21), 12)
    assert (view.restarts_count, view.memory_limit_bytes) == (4, 100)
    assert merge_views(Slot.BLUE, {"web": limited, "web.2": RUNS}).memory_limit_bytes is None


@pytest.mark.parametrize(
    ("views", "status", "reason"),
    [
        ([RUNS, ENDED], SlotStatus.EXITED, "web.2: killed"),
        ([ENDED, RUNS], SlotStatus.EXITED, "web: killed"),
        ([RUNS, STOPPED], SlotStatus.EXITED, "web.2 does not run"),
        ([STOPPED, STOPPED], SlotStatus.STOPPED, "web does not run"),
        ([ENDED, replace(ENDED, exit_reason="")], SlotStatus.EXITED, "web: killed"),
    ],
)
def test_a_slot_of_which_one_replica_is_down_has_ended(views: list[SlotView], status: SlotStatus, reason: str) -> None:
    """And has processes for as long as another one runs, so that it is stopped like one that runs."""
    view = merge_views(Slot.BLUE, dict(zip(("web", "web.2"), views, strict=True)))
    assert (view.status, view.exit_reason) == (status, reason)
    assert view.has_processes == (RUNS in views)
    assert view.killed_for_memory == (ENDED in views or views[0].killed_for_memory)


def test_what_an_earlier_count_has_left_is_of_the_slot() -> None:
    """Only while it runs."""
    left = [replace(RUNS, pids=(30,)), ENDED]
    view = merge_views(Slot.BLUE, {"web": RUNS}, left=left)
    assert (view.status, view.pids, view.killed_for_memory) == (SlotStatus.RUNNING, (10, 30), False)


def test_a_question_to_a_slot_is_one_to_every_replica() -> None:
    """The first no, with the address of who gave it, or the slowest yes."""
    took_ms = {8001: 3.0, 8002: 9.0, 8003: 1.0}

    def ask(address: Address, *, timeout_s: float) -> Answer:
        assert isinstance(address, TcpAddress)
        return Answer(ok=address.port != 8004, latency_ms=took_ms.get(address.port, timeout_s), reason="status 503")

    assert ask_every(ask, ports(8001, 3), timeout_s=2.0).latency_ms == 9.0
    assert ask_every(ask, ports(8001, 4), timeout_s=2.0).reason == "127.0.0.1:8004: status 503"
    assert ask_every(ask, ports(8004), timeout_s=2.0).reason == "status 503"


def test_what_is_live_keeps_its_addresses() -> None:
    """Until it is left: only the candidate's are new."""
    now, given = settings_at(ports(8001), ports(8101)), settings_at(ports(8001, 3), ports(8101, 3))
    web = keep_live(given, now, Slot.BLUE).web
    assert (web.addresses(Slot.BLUE), web.addresses(Slot.GREEN)) == (ports(8001), ports(8101, 3))
    assert keep_live(given, None, Slot.BLUE) == keep_live(given, now, None) == given


def test_a_candidate_on_an_address_of_what_is_live_is_refused() -> None:
    """Before anything is touched, with the address."""
    now, given = settings_at(ports(8001), ports(8002)), settings_at(ports(8001, 2), ports(8003, 2))
    with pytest.raises(RefusedError) as caught:
        keep_live(given, now, Slot.GREEN)
    assert caught.value.what.startswith("green, which is live, listens on 127.0.0.1:8002, which blue is to have now")


@pytest.mark.parametrize(
    ("blue", "green", "level"),
    [(1, 3, 3), (3, 1, 1), (2, 2, 2)],
)
def test_the_idle_slot_is_levelled_with_what_is_live(blue: int, green: int, level: int) -> None:
    """A restart and a way back run on as many as visitors have."""
    web = level_idle(settings_at(ports(8001, blue), ports(8101, green)), Slot.GREEN, root=ROOT).web
    assert (web.addresses(Slot.BLUE), web.addresses(Slot.GREEN)) == (ports(8001, level), ports(8101, green))


def test_an_idle_slot_without_room_for_more_stays_as_it_is() -> None:
    """Next to the live slot's port: fewer is better than none."""
    settings = settings_at(ports(8001), ports(8002, 3))
    assert level_idle(settings, Slot.GREEN, root=ROOT) == settings


def test_sockets_are_levelled_too() -> None:
    """Each in the directory of its process."""
    settings = make_settings()
    green, more = SocketAddress("/g"), (SocketAddress("/g2"),)
    web = replace(settings.web, blue=SocketAddress("/b"), green=green, green_more=more)
    found = level_idle(replace(settings, web=web), Slot.GREEN, root=ROOT).web.addresses(Slot.BLUE)
    assert found == (SocketAddress("/b"), SocketAddress(f"{ROOT}/apps/shop/processes/web.2/blue/app.sock"))


def test_the_candidates_room_is_reckoned_with_its_own_number(tmp_path: Path) -> None:
    """Not with that of what is live."""
    layout, world = Layout(tmp_path, APP), World()
    prepare_pointer(layout.pointer)
    move_pointer(layout.pointer, Slot.BLUE)
    world.spawn(Slot.BLUE, make_release(1).number)
    [found] = check_room(layout, settings_at(ports(8001), ports(8101, 3)), WorldRunner(world))
    assert found.text.startswith("3 replicas for 1, so as if blue uses ")


def test_a_container_of_a_replica_has_its_own_name_and_port() -> None:
    """And the first is called as the only one is."""
    settings = with_replicas(make_settings())
    words = {
        process: render_run(settings, Slot.BLUE, make_release(1), image="i", shared=Path("/s"), process=process)
        for process in ("web", "web.2")
    }
    assert "--name=celadon-shop-blue" in words["web"]
    assert {"--name=celadon-shop.web.2-blue", "--label=celadon.process=web.2"} <= {*words["web.2"]}
    assert "--publish=127.0.0.1:8101:8101" in words["web"]
    assert "--publish=127.0.0.1:8111:8111" in words["web.2"]


@pytest.mark.parametrize("address", ["127.0.0.1:8102", "127.0.0.1:8112"])
def test_a_candidate_of_which_one_replica_is_not_ready_gets_no_traffic(address: str) -> None:
    """Whichever it is."""
    world, settings = World(), with_replicas(make_settings())
    assert world.deploy(1, settings=settings) is Outcome.DONE
    world.refusing = {address}
    assert world.deploy(2, settings=settings) is Outcome.REJECTED
    assert f"{address}: connection refused" in world.reason()
    assert world.route is Slot.BLUE


@pytest.mark.parametrize("address", ["127.0.0.1:8102", "127.0.0.1:8112"])
def test_a_replica_that_refuses_in_the_window_is_a_breach(address: str) -> None:
    """Though the others answer."""
    world, settings = World(), with_replicas(make_settings())
    assert world.deploy(1, settings=settings) is Outcome.DONE
    world.on_wait = lambda world: world.refusing.add(address) if world.route is Slot.GREEN else None
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert events_of(world, VerdictReached)[-1].rule == "readiness"


def test_the_way_back_needs_one_replica_only() -> None:
    """The old slot's first one is gone by the time that the new release is sick."""
    world, settings = World(), with_replicas(make_settings())
    assert world.deploy(1, settings=settings) is Outcome.DONE
    world.on_wait = lambda world: (
        world.refusing.update({"127.0.0.1:8101", "127.0.0.1:8112"}) if world.route is Slot.GREEN else None
    )
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert world.route is Slot.BLUE


def test_connections_of_every_replica_are_counted() -> None:
    """One that is left open on each of two: two were cut."""
    world, settings = World(), with_replicas(make_settings())
    assert world.deploy(1, settings=settings) is Outcome.DONE
    world.left_open = lambda _: [Connection(id=2, received_bytes=80, unsent_bytes=9)]
    assert world.deploy(2, settings=settings) is Outcome.DONE
    assert events_of(world, SlotStopped)[-1].cut_count == 2
