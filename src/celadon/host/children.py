"""The children of a process and what they call themselves, from /proc."""

from pathlib import Path

_PROC = Path("/proc")


def read_children(pid: int) -> dict[int, str]:
    """Child pid → its title (the command line, NULs as spaces). Empty when `pid` is gone."""
    return {child: title for child in _child_pids(pid) if (title := read_title(child))}


def read_title(pid: int) -> str:
    """Empty when there is no such process, or when it is a zombie."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _child_pids(pid: int) -> list[int]:
    try:
        return [int(child) for child in (_PROC / str(pid) / "task" / str(pid) / "children").read_text().split()]
    except OSError:
        return [child for child in _all_pids() if _parent_pid(child) == pid]


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _parent_pid(pid: int) -> int:
    try:
        status = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(status.rpartition(")")[2].split()[1])
