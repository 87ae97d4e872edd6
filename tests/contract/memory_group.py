"""A control group with a memory limit, in whichever version of them the machine has."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_FIRST = Path("/sys/fs/cgroup/memory")
_SECOND = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def open_memory_group(limit_bytes: int) -> Iterator[Path]:
    """Its `cgroup.procs` takes pids. Needs root; ends when nobody is in it any more."""
    is_first = _FIRST.is_dir()
    group = (_FIRST if is_first else _SECOND) / f"celadon-test-{os.getpid()}"
    if not is_first:
        (_SECOND / "cgroup.subtree_control").write_text("+memory")
    group.mkdir()
    try:
        name = "memory.limit_in_bytes" if is_first else "memory.max"
        (group / name).write_text(str(limit_bytes))
        yield group / "cgroup.procs"
    finally:
        group.rmdir()
