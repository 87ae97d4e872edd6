"""Whether what is live fits on the machine twice. Pure.

The candidate is taken for as large as the live release is now. It starts smaller, as a rule, and may grow; what is
certain is that a machine without even that much left will swap or kill, and what is killed may be the live release.
"""

from collections.abc import Sequence
from math import ceil
from typing import Final

from msgspec.structs import replace

from celadon.model.names import Slot
from celadon.model.observed import ConnectionsView, Finding, FindingLevel, RoomView, problem, warning

_SUBJECT: Final = "room for two"
_MIB: Final = 1 << 20
_NARROW_SHARE: Final = 0.8
"""Of what is free: a candidate that takes more leaves little for anybody else."""
_FIX: Final = "free some of it, or go on all the same with:\n[switch]\nrequire_room = false"


def judge_room(room: RoomView, live: Slot, *, required: bool, counts: tuple[int, int] = (1, 1)) -> Sequence[Finding]:
    """One finding of each that is short; where nothing is, one that says how much there is. `counts` are the replicas
    of what is live and of the candidate, each taken to be as large."""
    now, then = counts
    if now != then:
        grown = replace(room, used_bytes=room.used_bytes * then // now, tasks_count=ceil(room.tasks_count * then / now))
        findings = judge_room(grown, live, required=required)
        return [replace(found, text=_tell_grown(found.text, counts)) for found in findings]
    return [*_judge_memory(room, live, required=required), *_judge_tasks(room, live, required=required)] or [
        Finding(level=FindingLevel.OK, subject=_SUBJECT, text=_describe(room, live))
    ]


def give_back(room: RoomView, ends: RoomView) -> RoomView:
    """The room that there is once what uses `ends` has ended."""
    free_bytes, free_tasks_count = room.free_bytes, room.free_tasks_count
    return replace(
        room,
        free_bytes=free_bytes + ends.used_bytes if free_bytes is not None else None,
        free_tasks_count=free_tasks_count + ends.tasks_count if free_tasks_count is not None else None,
    )


def _judge_memory(room: RoomView, live: Slot, *, required: bool) -> Sequence[Finding]:
    if room.free_bytes is None:
        return []
    text = f"{live} uses {_mib(room.used_bytes)}, and {_mib(room.free_bytes)} are free"
    if room.used_bytes > room.free_bytes + room.free_swap_bytes:
        swap = f" and {_mib(room.free_swap_bytes)} of swap" if room.free_swap_bytes else ""
        return [_refuse(f"{text}{swap}: a second copy does not fit", required=required)]
    if room.used_bytes > room.free_bytes:
        return [warning(_SUBJECT, f"{text}: with a second copy the machine swaps")]
    if room.used_bytes > _NARROW_SHARE * room.free_bytes:
        return [warning(_SUBJECT, f"{text}: a second copy leaves {_mib(room.free_bytes - room.used_bytes)}")]
    return []


def _judge_tasks(room: RoomView, live: Slot, *, required: bool) -> Sequence[Finding]:
    if room.free_tasks_count is None:
        return []
    text = f"{live} has {room.tasks_count} tasks, and {room.free_tasks_count} more may be started"
    if room.tasks_count > room.free_tasks_count:
        return [_refuse(f"{text}: a second copy does not fit", required=required)]
    if room.tasks_count > _NARROW_SHARE * room.free_tasks_count:
        return [warning(_SUBJECT, text)]
    return []


def judge_connections(
    view: ConnectionsView, live: Slot, *, required: bool, counts: tuple[int, int] = (1, 1)
) -> Finding:
    """A second copy opens as many as the first. `counts` as in `judge_room`."""
    now, then = counts
    if now != then:
        grown = replace(view, used_count=ceil(view.used_count * then / now))
        found = judge_connections(grown, live, required=required)
        return replace(found, text=_tell_grown(found.text, counts))
    used_count, free_count = view.used_count, view.free_count
    text = f"{live} has {used_count} connections to its database, and {free_count} more may be opened"
    if used_count > free_count:
        return _refuse(f"{text}: a second copy gets fewer", required=required)
    if used_count > _NARROW_SHARE * free_count:
        return warning(_SUBJECT, text)
    return Finding(level=FindingLevel.OK, subject=_SUBJECT, text=text)


def _tell_grown(text: str, counts: tuple[int, int]) -> str:
    now, then = counts
    return f"{then} replicas for {now}, so as if {text}"


def _refuse(text: str, *, required: bool) -> Finding:
    return problem(_SUBJECT, text, fix=_FIX) if required else warning(_SUBJECT, text)


def _describe(room: RoomView, live: Slot) -> str:
    free = "unknown" if room.free_bytes is None else _mib(room.free_bytes)
    tasks = "unknown" if room.free_tasks_count is None else str(room.free_tasks_count)
    return f"{live} uses {_mib(room.used_bytes)} and {room.tasks_count} tasks; free: {free} and {tasks}"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:.0f} MiB"
