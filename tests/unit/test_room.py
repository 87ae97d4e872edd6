"""What a slot uses and what is left, from the kernel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from celadon.host.room import observe_room
from celadon.model.names import Slot
from celadon.model.observed import FindingLevel, RoomView
from celadon.observe.room import give_back, judge_room

MIB = 1 << 20


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine with 1000 MiB available, 64 of swap and 200 tasks of at most 4000."""
    proc = tmp_path / "proc"
    write(proc / "meminfo", "MemTotal: 9999999 kB\nMemAvailable: 1024000 kB\nSwapFree: 65536 kB\n")
    write(proc / "loadavg", "0.1 0.2 0.3 1/200 4711\n")
    write(proc / "sys/kernel/threads-max", "9000\n")
    write(proc / "sys/kernel/pid_max", "4000\n")
    write(proc / "self/cgroup", "")
    return proc


def test_the_machine_alone(proc: Path, tmp_path: Path) -> None:
    """The smaller of two limits counts."""
    room = observe_room([], proc=proc, groups=tmp_path)
    assert (room.free_bytes, room.free_swap_bytes, room.free_tasks_count) == (1000 * MIB, 64 * MIB, 3800)


@pytest.mark.parametrize("version", ["first", "second"])
def test_the_narrowest_group_around_us_counts(proc: Path, tmp_path: Path, version: str) -> None:
    """Of either version; what nobody has read lately is as good as free."""
    groups = tmp_path / "groups"
    if version == "second":
        write(proc / "self/cgroup", "0::/outer/inner\n")
        write(groups / "outer/memory.max", f"{400 * MIB}\n")
        write(groups / "outer/memory.current", f"{350 * MIB}\n")
        write(groups / "outer/memory.stat", f"anon 1\ninactive_file {20 * MIB}\n")
        write(groups / "outer/inner/memory.max", "max\n")
        write(groups / "outer/inner/memory.current", "5\n")
        write(groups / "outer/inner/pids.max", "20\n")
        write(groups / "outer/inner/pids.current", "13\n")
    else:
        write(proc / "self/cgroup", "2:memory:/not/here\n1:pids:/outer\n")
        write(groups / "memory/memory.limit_in_bytes", f"{400 * MIB}\n")
        write(groups / "memory/memory.usage_in_bytes", f"{350 * MIB}\n")
        write(groups / "memory/memory.stat", f"inactive_file 1\ntotal_inactive_file {20 * MIB}\n")
        write(groups / "pids/outer/pids.max", "20\n")
        write(groups / "pids/outer/pids.current", "13\n")
    room = observe_room([], proc=proc, groups=groups)
    assert (room.free_bytes, room.free_tasks_count) == (70 * MIB, 7)


def test_what_processes_share_is_counted_once() -> None:
    """Real ones: two that have forked from one hold its memory together, and a program's own file is not counted."""
    script = (
        "import os, sys, time\nhold = b'x' * (64 << 20)\npid = os.fork()\n"
        "print(pid or '', end='', flush=True)\ntime.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    child = int(os.read(process.stdout.fileno(), 20))
    room = observe_room([process.pid, child])
    os.kill(child, 9)
    process.kill()
    process.wait()
    assert 60 * MIB < room.used_bytes < 100 * MIB
    assert room.tasks_count == 2
    assert room.free_bytes is not None
    assert room.free_bytes > 0


def test_what_ends_before_the_candidate_starts_is_room_for_it() -> None:
    """A slot that lives on for its streams does not stand in the way of the deploy that ends it."""
    room = RoomView(used_bytes=300 * MIB, tasks_count=4, free_bytes=100 * MIB, free_tasks_count=3)
    given = give_back(room, RoomView(used_bytes=250 * MIB, tasks_count=5))
    assert (given.free_bytes, given.free_tasks_count) == (350 * MIB, 8)
    assert next(found.level for found in judge_room(room, Slot.BLUE, required=True)) is FindingLevel.PROBLEM
    assert [found.level for found in judge_room(given, Slot.BLUE, required=True)] == [FindingLevel.WARNING]
