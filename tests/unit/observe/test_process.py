"""Why a candidate's process is gone, and by which rule that leads back."""

import pytest

from celadon.drivers.runners.systemd import view_unit
from celadon.model.names import Slot
from celadon.model.observed import HostView, SlotStatus, SlotView
from celadon.observe.process import Process

UP = SlotView(slot=Slot.GREEN, status=SlotStatus.RUNNING, pids=(1,))
KILLED = SlotView(
    slot=Slot.GREEN,
    status=SlotStatus.EXITED,
    exit_code=-9,
    exit_reason="killed by signal 9, which celadon did not send",
)

# `systemctl show` of Debian 12, where control groups are of the second version.
OUT_OF_MEMORY = {
    "ActiveState": "activating",
    "SubState": "auto-restart",
    "MainPID": "0",
    "ExecMainStatus": "9",
    "ExecMainCode": "2",
    "NRestarts": "0",
    "Result": "oom-kill",
}


def find(*looks: tuple[SlotView, int]) -> tuple[str, str] | None:
    """Each look is of the process, and then of the kernel's count of kills."""
    process = Process()
    for view, killed_count in looks:
        process.take(view)
        process.take_host(HostView(killed_count=killed_count))
    return process.find_fault()


def test_a_process_that_runs_is_no_fault() -> None:
    assert find((UP, 0), (UP, 3)) is None


def test_a_unit_that_systemd_saw_killed_for_memory_is_told_so_and_by_a_rule_of_its_own() -> None:
    view = view_unit(OUT_OF_MEMORY, Slot.GREEN, pids=(), release=None)
    fault = find((view, 0))
    assert fault == ("out_of_memory", "the candidate's process was killed by the kernel: out of memory")


@pytest.mark.parametrize("exit_code", [-9, 137])
def test_a_kill_that_the_kernel_counted_is_out_of_memory(exit_code: int) -> None:
    """Where nobody tells it: signal 9, by wait or by a shell's word, and the kernel's count rose."""
    view = SlotView(slot=Slot.GREEN, status=SlotStatus.EXITED, exit_code=exit_code)
    fault = find((UP, 4), (view, 5))
    assert fault is not None
    assert fault[0] == "out_of_memory"
    assert "killed by the kernel: out of memory" in fault[1]


def test_a_kill_that_the_kernel_did_not_count_is_somebodys() -> None:
    """And is said as such, not guessed at."""
    fault = find((UP, 4), (KILLED, 4))
    assert fault == (
        "process",
        "the candidate's process ended: killed by signal 9, which celadon did not send",
    )


def test_an_exit_is_not_laid_to_another_programs_want_of_memory() -> None:
    fault = find((UP, 4), (SlotView(slot=Slot.GREEN, status=SlotStatus.EXITED, exit_code=1), 5))
    assert fault is not None
    assert fault[0] == "process"


def test_a_kill_long_ago_is_not_the_cause_of_this_one() -> None:
    fault = find((UP, 4), *[(UP, 5)] * 40, (KILLED, 5))
    assert fault is not None
    assert fault[0] == "process"


def test_why_it_ended_is_not_forgotten_when_it_is_started_again() -> None:
    view = view_unit(OUT_OF_MEMORY, Slot.GREEN, pids=(), release=None)
    again = SlotView(slot=Slot.GREEN, status=SlotStatus.RUNNING, pids=(2,), restarts_count=1)
    fault = find((view, 0), (again, 0))
    assert fault is not None
    assert fault[0] == "out_of_memory"


def test_a_unit_that_somebody_killed_is_told_as_such() -> None:
    shown = OUT_OF_MEMORY | {"ActiveState": "failed", "Result": "signal"}
    view = view_unit(shown, Slot.GREEN, pids=(), release=None)
    assert (view.killed_for_memory, view.exit_reason) == (False, "killed by signal 9, which celadon did not send")
