"""Who is in a process's control group: in both versions of them, and where they stand side by side."""

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_TOLD_BY = ("pids", "memory", "systemd")


def read_group(pid: int, *, named: str) -> tuple[int, ...]:
    """Pids of the group of `pid` and of those below it, when the group's path says `named`; empty when it does not, or
    cannot be read: a program that is in no group of its own shares that of everybody."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return ()
    for line in sorted(lines, key=lambda line: line.startswith("0::")):
        _, names, path = line.split(":", 2)
        if named in path and (not names or any(each.rpartition("=")[2] in _TOLD_BY for each in names.split(","))):
            found = _read_below(_directory(names) / path.lstrip("/"))
            if found:
                return found
    return ()


def _directory(names: str) -> Path:
    if names:
        return _ROOT / names.rpartition("=")[2].split(",")[0]
    unified = _ROOT / "unified"
    return unified if unified.is_dir() else _ROOT


def _read_below(directory: Path) -> tuple[int, ...]:
    found: set[int] = set()
    for path in directory.rglob("cgroup.procs"):
        try:
            found |= {int(pid) for pid in path.read_text().split()}
        except OSError:
            continue
    return tuple(sorted(found - {0}))
