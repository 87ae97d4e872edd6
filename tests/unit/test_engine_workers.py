"""Workers over a machine in memory: who runs where at each step, both ways, and after a death."""

from typing import Any

import pytest
from msgspec.structs import replace

from celadon.events import SwitchSeen, VerdictReached, WorkerFailed, WorkerStarted, WorkerStopped
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.plan import OperationKind, Outcome
from celadon.model.processes import Handover, WorkerSettings
from celadon.model.settings import BlessMode, Settings
from tests.fakes.processes import Other
from tests.fakes.world import Died, Nature, World, events_of, make_settings

BLUE, GREEN = Slot.BLUE, Slot.GREEN


def worker(handover: Handover = Handover.OVERLAP, **more: Any) -> WorkerSettings:
    return WorkerSettings(**({"name": "mail", "command": "mail", "handover": handover} | more))


def with_workers(*workers: WorkerSettings, bless: BlessMode = BlessMode.AUTO) -> Settings:
    return replace(make_settings(bless=bless), workers=workers)


def a_world(settings: Settings) -> World:
    world = World()
    assert world.deploy(1, settings=settings) is Outcome.DONE
    assert set(world.others.in_slot(BLUE).values()) == {1}
    world.others.done.clear()
    return world


def seen_in_window(world: World) -> list[tuple[dict[str, int], dict[str, int]]]:
    """Filled while the window is open: who runs in blue and in green."""
    seen: list[tuple[dict[str, int], dict[str, int]]] = []

    def look(world: World) -> None:
        if world.route is GREEN:
            now = world.others.in_slot(BLUE), world.others.in_slot(GREEN)
            if not seen or seen[-1] != now:
                seen.append(now)

    world.on_wait = look
    return seen


@pytest.mark.parametrize(
    ("handover", "in_window", "done"),
    [
        (
            Handover.OVERLAP,
            ({"mail": 1}, {"mail": 2}),
            [("start", GREEN), ("SIGTSTP", BLUE), ("SIGTSTP", BLUE), ("stop", BLUE)],
        ),
        (Handover.EXCLUSIVE, ({}, {"mail": 2}), [("SIGTSTP", BLUE), ("stop", BLUE), ("start", GREEN)]),
        (Handover.AFTER_BLESS, ({"mail": 1}, {}), [("SIGTSTP", BLUE), ("stop", BLUE), ("start", GREEN)]),
    ],
)
def test_each_handover_has_its_order(
    handover: Handover, in_window: tuple[dict[str, int], dict[str, int]], done: list[tuple[str, Slot]]
) -> None:
    """In the window and in the end; boot follows."""
    settings = with_workers(worker(handover, quiet_signal="SIGTSTP"))
    world = a_world(settings)
    seen = seen_in_window(world)
    assert world.deploy(2, settings=settings) is Outcome.DONE
    assert seen[0] == in_window
    assert [(verb, slot) for verb, _, slot in world.others.done] == done
    assert (world.others.in_slot(BLUE), world.others.in_slot(GREEN)) == ({}, {"mail": 2})
    assert world.others.boot == {("mail", GREEN): 2}
    assert world.others.doubled == []


@pytest.mark.parametrize("handover", Handover)
def test_on_the_way_back_the_old_worker_works_again(handover: Handover) -> None:
    """After the route has gone back; the new one's is gone, and an exclusive one never had company."""
    settings = with_workers(worker(handover, quiet_signal="SIGTSTP"))
    world = a_world(settings)
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert (world.others.in_slot(BLUE), world.others.in_slot(GREEN)) == ({"mail": 1}, {})
    assert not world.others.running["mail", BLUE].is_quiet
    assert world.others.boot == {("mail", BLUE): 1}
    assert world.others.doubled == []
    order = [type(entry.body) for entry in world.entries]
    back = len(order) - 1 - order[::-1].index(SwitchSeen)
    assert handover is Handover.AFTER_BLESS or order[::-1].index(WorkerStarted) < len(order) - 1 - back


def test_an_exclusive_worker_goes_back_the_other_way_round() -> None:
    """The new one stops before the old one starts."""
    settings = with_workers(worker(Handover.EXCLUSIVE))
    world = a_world(settings)
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    order = [(verb, slot) for verb, _, slot in world.others.done]
    assert order == [("stop", BLUE), ("start", GREEN), ("stop", GREEN), ("start", BLUE)]


def test_a_worker_that_is_not_told_to_be_quiet_is_not_disturbed_by_a_way_back() -> None:
    """It never stopped working: it goes on."""
    settings = with_workers(worker(Handover.OVERLAP))
    world = a_world(settings)
    pid = world.others.running["mail", BLUE].pid
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert world.others.running["mail", BLUE].pid == pid


def test_each_worker_has_its_own_grace() -> None:
    """The old release's says how long the old one may take; then it is killed. Replicas end at the same time."""
    world = a_world(with_workers(worker(grace_s=90.0, replicas_count=3)))
    world.others.stop_takes_s = 1000.0
    began_s = world.now_s
    assert world.deploy(2, settings=with_workers(worker(grace_s=12.0))) is Outcome.DONE
    assert [(stopped.killed, 90.0 <= stopped.duration_s < 91.0) for stopped in events_of(world, WorkerStopped)] == [
        (True, True)
    ] * 3
    assert world.others.names("SIGKILL") == [(name, BLUE) for name in ("mail.1", "mail.2", "mail.3")]
    assert world.now_s - began_s < 100.0


def test_visitors_are_watched_while_an_exclusive_worker_ends() -> None:
    """A bad release is back long before the old worker's grace is over, and the old release has its worker again."""
    settings = with_workers(worker(Handover.EXCLUSIVE, grace_s=60.0))
    world = a_world(settings)
    world.others.stop_takes_s = 50.0
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    began_s = world.now_s
    moved_back_s: list[float] = []
    world.on_wait = lambda world: moved_back_s.append(world.now_s) if world.route is BLUE else None
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert next(at for at in moved_back_s if at > began_s + 1.0) - began_s < 10.0
    assert (world.others.in_slot(BLUE), world.others.in_slot(GREEN)) == ({"mail": 1}, {})
    assert world.others.running["mail", BLUE].ends_at_s == float("inf")
    assert world.others.doubled == []


def test_nothing_is_blessed_before_an_exclusive_worker_has_moved() -> None:
    """However short the window; the new one is looked at again before the bless."""
    settings = with_workers(worker(Handover.EXCLUSIVE, grace_s=60.0))
    world = a_world(settings)
    world.others.stop_takes_s = 20.0
    world.others.short_lived["mail", 2] = 0.6
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert events_of(world, VerdictReached)[-1].rule == "worker"


def test_no_worker_moves_while_a_share_is_held() -> None:
    """They follow the whole switch."""
    settings = replace(make_settings(steps=(10, 100)), workers=(worker(Handover.EXCLUSIVE),))
    world = a_world(settings)
    held: list[dict[str, int]] = []
    world.on_wait = lambda world: held.append(world.others.in_slot(BLUE)) if world.split is not None else None
    assert world.deploy(2, settings=settings) is Outcome.DONE
    assert held
    assert all(workers == {"mail": 1} for workers in held)
    assert world.others.in_slot(GREEN) == {"mail": 2}


def test_a_rejected_release_touches_no_worker() -> None:
    """Traffic never moved, and neither did the work."""
    settings = with_workers(worker(Handover.EXCLUSIVE), worker(name="cron", quiet_signal="SIGUSR1"))
    world = a_world(settings)
    world.natures[2] = Nature.NEVER_READY
    assert world.deploy(2, settings=settings) is Outcome.REJECTED
    assert world.others.done == []


@pytest.mark.parametrize("handover", [Handover.OVERLAP, Handover.EXCLUSIVE])
def test_a_worker_that_ends_in_the_window_brings_the_old_release_back(handover: Handover) -> None:
    """By a rule of its own, however well the site answers."""
    settings = with_workers(worker(handover))
    world = a_world(settings)
    world.others.short_lived["mail", 2] = 0.5
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert (events_of(world, VerdictReached)[-1].rule, world.others.in_slot(BLUE)) == ("worker", {"mail": 1})


def test_a_worker_that_ends_in_the_last_moment_is_not_blessed() -> None:
    """It is looked at once more before the bless."""
    settings = replace(make_settings(window_s=2.6), workers=(worker(),))
    world = a_world(settings)
    world.others.short_lived["mail", 2] = 2.3
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK


def test_a_worker_that_is_started_again_in_the_window_is_a_breach() -> None:
    """As of the process that answers requests."""
    settings = with_workers(worker())
    world = a_world(settings)

    def crash(world: World) -> None:
        other = world.others.running.get(("mail", GREEN))
        if isinstance(other, Other) and world.now_s > 4.0:
            other.restarts_count = 1

    world.on_wait = crash
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert events_of(world, VerdictReached)[-1].rule == "worker_restarts"


def watched(**more: Any) -> Settings:
    settings = with_workers(worker(heartbeat_max_age_s=10.0, **more))
    return replace(settings, observe=replace(settings.observe, window_s=60.0))


@pytest.mark.parametrize("more", [{"heartbeat_file": "tmp/beat"}, {"heartbeat_command": "./beat"}])
def test_a_worker_that_gives_no_sign_of_life_any_more_brings_the_old_release_back(more: dict[str, Any]) -> None:
    """Within its limit, and not before; one that gives them is blessed."""
    world = a_world(watched(**more))
    assert world.deploy(2, settings=watched(**more)) is Outcome.DONE
    world.others.beats_until_s = world.now_s + 20.0
    began_s = world.now_s
    assert world.deploy(3, settings=watched(**more)) is Outcome.ROLLED_BACK
    assert events_of(world, VerdictReached)[-1].rule == "heartbeat"
    assert 25.0 < world.now_s - began_s < 40.0
    assert world.open_askings_count == 0


def test_a_heartbeat_file_that_never_comes_is_a_breach() -> None:
    """From the window's beginning on."""
    settings = watched(heartbeat_file="tmp/{process}.never")
    world = a_world(watched())
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert "the worker mail gave no sign of life for 1" in events_of(world, VerdictReached)[-1].reason


def test_a_queue_that_grows_over_its_limit_brings_the_old_release_back() -> None:
    """Three times in a row; one that was too long from the beginning is held against nobody, and what is no number
    tells nothing."""
    settings = watched(queue_depth="./depth", max_queue_depth=100)
    world = a_world(settings)
    world.others.depth = "101"
    assert world.deploy(2, settings=settings) is Outcome.DONE
    world.others.depth = "100"
    grows_s = world.now_s + 20.0
    told = "connection refused"

    def grow(world: World) -> None:
        world.others.depth = told if world.now_s > grows_s else "100"

    world.on_wait = grow
    assert world.deploy(3, settings=settings) is Outcome.DONE
    grows_s, told = world.now_s + 20.0, "101"
    assert world.deploy(4, settings=settings) is Outcome.ROLLED_BACK
    reached = events_of(world, VerdictReached)[-1]
    assert (reached.rule, reached.reason) == (
        "queue_depth",
        "the queue of mail has 101 jobs, limit 100, 3 times in a row",
    )
    assert world.now_s - grows_s > 9.0


def test_a_worker_that_cannot_be_started_brings_the_old_release_back() -> None:
    """Its predecessor had been stopped for it, and works again."""
    settings = with_workers(worker(Handover.EXCLUSIVE))
    world = a_world(settings)
    world.others.unstartable.add(("mail", 2))
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert (world.route, world.others.in_slot(BLUE)) == (BLUE, {"mail": 1})
    assert "no such program" in world.reason()


def test_a_worker_that_does_not_start_after_the_bless_is_told_and_holds_up_nothing() -> None:
    """There is no way back: the next deploy mends it."""
    settings = with_workers(worker(Handover.AFTER_BLESS))
    world = a_world(settings)
    world.others.unstartable.add(("mail", 2))
    assert world.deploy(2, settings=settings) is Outcome.DONE
    assert [failed.worker for failed in events_of(world, WorkerFailed)] == ["mail"]
    assert world.deploy(3, settings=settings) is Outcome.DONE
    assert world.others.in_slot(BLUE) == {"mail": 3}


def test_a_worker_that_is_new_starts_and_one_that_is_no_more_works_until_the_bless() -> None:
    """Neither has a successor or a predecessor."""
    world = a_world(with_workers(worker(name="old")))
    seen = seen_in_window(world)
    assert world.deploy(2, settings=with_workers(worker(name="new"))) is Outcome.DONE
    assert seen[0] == ({"old": 1}, {"new": 2})
    assert (world.others.in_slot(BLUE), world.others.in_slot(GREEN)) == ({}, {"new": 2})


def test_a_worker_that_was_exclusive_does_not_overlap_with_its_successor() -> None:
    """Whatever the new release says: the old one was written for being alone."""
    world = a_world(with_workers(worker(Handover.EXCLUSIVE)))
    assert world.deploy(2, settings=with_workers(worker(Handover.OVERLAP))) is Outcome.DONE
    assert [verb for verb, _, _ in world.others.done] == ["stop", "start"]


def test_all_replicas_of_an_exclusive_worker_have_stopped_before_one_starts() -> None:
    """Also where their number changes."""
    world = a_world(with_workers(worker(Handover.EXCLUSIVE, replicas_count=2)))
    assert world.deploy(2, settings=with_workers(worker(Handover.EXCLUSIVE, replicas_count=3))) is Outcome.DONE
    assert world.others.in_slot(GREEN) == {"mail.1": 2, "mail.2": 2, "mail.3": 2}
    assert world.others.doubled == []


def test_the_idle_command_ends_the_waiting() -> None:
    """Long before the grace is over; where it never says so, the grace ends it."""
    settings = with_workers(worker(idle="./idle", grace_s=60.0))
    world = a_world(settings)
    world.others.busy_until_s = world.now_s + 10.0
    assert world.deploy(2, settings=settings) is Outcome.DONE
    [stopped] = events_of(world, WorkerStopped)
    assert 1.0 < stopped.duration_s < 10.0
    world.others.busy_until_s = float("inf")
    assert world.deploy(3, settings=settings) is Outcome.DONE
    assert 60.0 <= events_of(world, WorkerStopped)[-1].duration_s < 62.0


def test_a_person_who_goes_back_later_finds_the_old_worker_at_work() -> None:
    """A deploy that waits for its bless, taken back by another process: it cannot know who was told to be quiet."""
    settings = with_workers(worker(quiet_signal="SIGTSTP"), bless=BlessMode.MANUAL)
    world = a_world(with_workers(worker(quiet_signal="SIGTSTP")))
    assert world.deploy(2, settings=settings) is Outcome.UNBLESSED
    assert world.others.running["mail", BLUE].is_quiet
    assert world.roll_back_open(settings) is Outcome.ROLLED_BACK
    assert (world.others.in_slot(BLUE), world.others.in_slot(GREEN)) == ({"mail": 1}, {})
    assert not world.others.running["mail", BLUE].is_quiet


def test_a_kept_release_comes_back_with_its_own_workers() -> None:
    """A rollback is a deploy of it."""
    world = a_world(with_workers(worker(name="old")))
    assert world.deploy(2, settings=with_workers(worker(name="new"))) is Outcome.DONE
    plan = replace(world.plan_deploy(1, operation="back", settings=world.settings_of[1]), source=None)
    assert world.operate(replace(plan, kind=OperationKind.ROLLBACK)) is Outcome.DONE
    assert (world.others.in_slot(BLUE), world.others.in_slot(GREEN)) == ({"old": 1}, {})


def test_what_ran_before_us_has_no_workers_of_ours() -> None:
    """Though the configuration had them when it was taken over: a way back starts none there."""
    world = World()
    assert world.deploy(1) is Outcome.DONE
    settings = with_workers(worker(Handover.EXCLUSIVE))
    world.adopted.add(ReleaseNumber(1))
    world.settings_of[1] = settings
    world.natures[2] = Nature.SICK_UNDER_TRAFFIC
    assert world.deploy(2, settings=settings) is Outcome.ROLLED_BACK
    assert world.others.running == {}
    assert [(verb, slot) for verb, _, slot in world.others.done] == [("start", GREEN), ("stop", GREEN)]


def test_recovery_starts_a_worker_that_has_ended_and_stops_a_stray_one() -> None:
    """With nothing open: the live slot's run, the other's do not."""
    settings = with_workers(worker(), worker(name="cron"))
    world = a_world(settings)
    del world.others.running["mail", BLUE]
    world.others.running["cron", GREEN] = Other(99, world.plan_deploy(1, operation="x").release or 0)  # type: ignore[arg-type]
    assert world.settle(settings=settings)
    assert (world.others.in_slot(BLUE), world.others.in_slot(GREEN)) == ({"cron": 1, "mail": 1}, {})


@pytest.mark.parametrize("handover", Handover)
def test_a_machine_that_restarts_at_any_point_has_no_exclusive_worker_twice(handover: Handover) -> None:
    """What is enabled at boot starts before anybody recovers."""
    settings = with_workers(worker(handover))
    counting = a_world(settings)
    counting.passed.clear()
    counting.deploy(2, settings=settings)
    for index, name in enumerate(counting.passed, start=1):
        world = a_world(settings)
        world.passed.clear()
        world.die_at = index
        with pytest.raises(Died):
            world.deploy(2, settings=settings)
        world.die_at = None
        world.reboot()
        world.recover()
        assert world.route is not None
        assert set(world.others.in_slot(world.route)) == {"mail"} or name == "after_append_OperationEnded", name
        assert world.others.in_slot(world.route.other) == {}, name
        assert world.others.doubled == [], name
