"""Whether there is room for a second copy of what runs: what it uses, what is left. Some milliseconds a process."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from celadon.host.memory import parse_available_bytes
from celadon.host.processes import sum_rss_bytes
from celadon.model.observed import RoomView

_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_KIB = 1024
_OWN = re.compile(rb"^(?:Pss_Anon|Pss_Shmem): *(\d+) kB", re.MULTILINE)
_FREE_SWAP = re.compile(rb"^SwapFree: *(\d+)", re.MULTILINE)
_TASKS = re.compile(rb"/(\d+) ")
_RECLAIMABLE = re.compile(rb"^(?:total_)?inactive_file (\d+)", re.MULTILINE)


def observe_room(pids: Iterable[int], *, proc: Path = _PROC, groups: Path = _GROUPS) -> RoomView:
    """`pids` are the slot's. Our own control groups count, and those around them: what we start is below them."""
    listed = list(pids)
    meminfo = _read(proc / "meminfo")
    available_bytes, swap = parse_available_bytes(meminfo), _FREE_SWAP.search(meminfo)
    places = list(_find_groups(_read(proc / "self" / "cgroup").decode(errors="replace"), groups))
    frees = [available_bytes] if available_bytes is not None else []
    frees += _collect(places, _free_bytes_in)
    return RoomView(
        used_bytes=sum(_own_bytes(pid, proc) for pid in listed),
        tasks_count=sum(_count_tasks(pid, proc) for pid in listed),
        free_bytes=min(frees) if frees else None,
        free_swap_bytes=int(swap[1]) * _KIB if swap else 0,
        free_tasks_count=min([*_free_tasks(proc), *_collect(places, _free_tasks_in)], default=None),
    )


def _own_bytes(pid: int, proc: Path) -> int:
    """Resident memory, files and all, where the kernel does not tell them apart or not to us."""
    own = _OWN.findall(_read(proc / str(pid) / "smaps_rollup"))
    return sum(int(each) * _KIB for each in own) if own else sum_rss_bytes([pid])


def _count_tasks(pid: int, proc: Path) -> int:
    try:
        return len(os.listdir(proc / str(pid) / "task"))
    except OSError:
        return 0


def _free_tasks(proc: Path) -> list[int]:
    """Of the whole machine."""
    now = _TASKS.search(_read(proc / "loadavg"))
    limits = [_read_number(proc / "sys" / "kernel" / name) for name in ("threads-max", "pid_max")]
    return [limit - int(now[1]) for limit in limits if limit is not None] if now else []


def _find_groups(told: str, groups: Path) -> Iterator[Path]:
    """Ours and all around them, in both versions of control groups. Inside a container the path that the kernel tells
    may not be there, and the root stands for it."""
    for line in told.splitlines():
        _, names, path = line.split(":", 2)
        unified = groups / "unified"
        root = groups / names if names else unified if unified.is_dir() else groups
        place = root / path.lstrip("/")
        yield from (each for each in (place, *place.parents) if each.is_relative_to(root) and each.is_dir())


def _collect(places: Iterable[Path], read: Callable[[Path], int | None]) -> list[int]:
    return [free for free in map(read, places) if free is not None]


def _free_bytes_in(group: Path) -> int | None:
    """Files that nobody has read lately make room by themselves."""
    limit = _read_number(group / "memory.max") or _read_number(group / "memory.limit_in_bytes")
    used = _read_number(group / "memory.current") or _read_number(group / "memory.usage_in_bytes")
    if limit is None or used is None:
        return None
    reclaimable = _RECLAIMABLE.findall(_read(group / "memory.stat"))  # the total comes after the group's own
    return max(0, limit - used + (int(reclaimable[-1]) if reclaimable else 0))


def _free_tasks_in(group: Path) -> int | None:
    limit, used = _read_number(group / "pids.max"), _read_number(group / "pids.current")
    return None if limit is None or used is None else max(0, limit - used)


def _read_number(path: Path) -> int | None:
    """None of `max`."""
    text = _read(path).strip()
    return int(text) if text.isdigit() else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
