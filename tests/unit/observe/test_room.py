"""Whether what is live fits twice."""

import pytest

from celadon.model.names import Slot
from celadon.model.observed import ConnectionsView, FindingLevel, RoomView
from celadon.observe.room import judge_connections, judge_room

MIB = 1 << 20


def judge(*, used: int, free: int | None, swap: int = 0, tasks: int = 4, free_tasks: int | None = 1000) -> list[str]:
    room = RoomView(
        used_bytes=used * MIB,
        tasks_count=tasks,
        free_bytes=None if free is None else free * MIB,
        free_swap_bytes=swap * MIB,
        free_tasks_count=free_tasks,
    )
    return [f"{found.level}: {found.text}" for found in judge_room(room, Slot.BLUE, required=True)]


@pytest.mark.parametrize(
    ("room", "told"),
    [
        ({"used": 300, "free": 1000}, "ok: blue uses 300 MiB and 4 tasks; free: 1000 MiB and 1000"),
        (
            {"used": 900, "free": 1000},
            "warning: blue uses 900 MiB, and 1000 MiB are free: a second copy leaves 100 MiB",
        ),
        (
            {"used": 900, "free": 800, "swap": 200},
            "warning: blue uses 900 MiB, and 800 MiB are free: with a second copy the machine swaps",
        ),
        (
            {"used": 900, "free": 800, "swap": 99},
            "problem: blue uses 900 MiB, and 800 MiB are free and 99 MiB of swap: a second copy does not fit",
        ),
        (
            {"used": 1, "free": 800, "tasks": 51, "free_tasks": 50},
            "problem: blue has 51 tasks, and 50 more may be started: a second copy does not fit",
        ),
        (
            {"used": 1, "free": 800, "tasks": 45, "free_tasks": 50},
            "warning: blue has 45 tasks, and 50 more may be started",
        ),
        ({"used": 1, "free": None, "free_tasks": None}, "ok: blue uses 1 MiB and 4 tasks; free: unknown and unknown"),
    ],
)
def test_numbers_decide_and_are_told(room: dict[str, int], told: str) -> None:
    """What cannot fit is refused, what is narrow is a warning, what is not known stands in nobody's way."""
    assert judge(**room) == [told]


def test_an_owner_who_knows_better_is_warned_only() -> None:
    """The numbers stay."""
    room = RoomView(used_bytes=900 * MIB, tasks_count=9, free_bytes=MIB, free_tasks_count=1)
    found = judge_room(room, Slot.BLUE, required=False)
    assert [each.level for each in found] == [FindingLevel.WARNING, FindingLevel.WARNING]
    assert "does not fit" in found[0].text


@pytest.mark.parametrize(
    ("used", "free", "told"),
    [
        (10, 80, "ok: blue has 10 connections to its database, and 80 more may be opened"),
        (70, 80, "warning: blue has 70 connections to its database, and 80 more may be opened"),
        (
            81,
            80,
            "problem: blue has 81 connections to its database, and 80 more may be opened: a second copy gets fewer",
        ),
    ],
)
def test_a_second_pool_of_connections_has_to_fit_too(used: int, free: int, told: str) -> None:
    view = ConnectionsView(used_count=used, free_count=free)
    found = judge_connections(view, Slot.BLUE, required=True)
    assert f"{found.level}: {found.text}" == told
    assert judge_connections(view, Slot.BLUE, required=False).level is not FindingLevel.PROBLEM


def test_more_replicas_need_as_much_more() -> None:
    """Three where one is live: the candidate is taken for three times as large."""
    room = RoomView(used_bytes=300 * MIB, tasks_count=4, free_bytes=800 * MIB, free_tasks_count=1000)
    [found] = judge_room(room, Slot.BLUE, required=True, counts=(1, 3))
    assert found.level is FindingLevel.PROBLEM
    assert found.text.startswith("3 replicas for 1, so as if blue uses 900 MiB, and 800 MiB are free")
    assert judge_room(room, Slot.BLUE, required=True, counts=(3, 1))[0].level is FindingLevel.OK
    view = ConnectionsView(used_count=30, free_count=80)
    found = judge_connections(view, Slot.BLUE, required=True, counts=(1, 3))
    assert found.level is FindingLevel.PROBLEM
    assert found.text.startswith("3 replicas for 1, so as if blue has 90 connections")
