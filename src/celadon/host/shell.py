"""The user's own shell commands: as the app's user, with a deadline, their last words kept."""

import os
import pwd
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from celadon.host.processes import kill_group
from celadon.host.text import escape_controls

TIMED_OUT = 124
_TAIL_LINES_COUNT = 20
_TAIL_BYTES = 64 * 1024
_POLL_S = 0.005


class Ran(Struct, frozen=True, kw_only=True):
    """`exit_code` is 124 for a command that was ended at its deadline, negative for a signal. `output_tail` are its
    last lines, of both streams as they came."""

    exit_code: int
    duration_s: float
    output_tail: tuple[str, ...]


def run_shell(
    command: str, *, cwd: Path, env: Mapping[str, str], user: str | None, timeout_s: float, leaves_nothing: bool = False
) -> Ran:
    """Blocks at most `timeout_s`, then kills the command's whole process group. It is over when its output has ended
    and its shell too. `leaves_nothing`: what it left in its group is ended as well. `user` is of root's commands only.
    Raises OSError when it cannot be started."""
    began_s = time.monotonic()
    read_end, write_end = os.pipe()
    try:
        try:
            process = _spawn(command, cwd=cwd, env=env, user=user, output=write_end)
        finally:
            os.close(write_end)
        tail, ended = _read(read_end, process.pid, until_s=began_s + timeout_s)
    finally:
        os.close(read_end)
    if not ended or leaves_nothing:
        kill_group(process.pid)
    exit_code = process.wait()
    lines = tail.decode(errors="replace").splitlines()[-_TAIL_LINES_COUNT:]
    return Ran(
        exit_code=exit_code if ended else TIMED_OUT,
        duration_s=time.monotonic() - began_s,
        output_tail=tuple(map(escape_controls, lines)),
    )


def _spawn(
    command: str, *, cwd: Path, env: Mapping[str, str], user: str | None, output: int
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        **_drop_to(user),
    )


def _drop_to(user: str | None) -> dict[str, Any]:
    if user is None or os.geteuid() != 0:
        return {}
    try:
        found = pwd.getpwnam(user)
    except KeyError as error:
        raise OSError(f"there is no user {user}") from error
    groups = os.getgrouplist(found.pw_name, found.pw_gid)
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": groups}


def _read(output: int, pid: int, *, until_s: float) -> tuple[bytes, bool]:
    """The last of the output, and whether all was over in time. The process is not reaped: until then the number of its
    group is nobody else's."""
    tail = b""
    ready = select.poll()
    ready.register(output, select.POLLIN)
    while (left_s := until_s - time.monotonic()) > 0:
        if not ready.poll(left_s * 1000):
            break
        part = os.read(output, _TAIL_BYTES)
        if not part:
            return tail, _await_exit(pid, until_s=until_s)
        tail = (tail + part)[-_TAIL_BYTES:]
    return tail, False


def _await_exit(pid: int, *, until_s: float) -> bool:
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() >= until_s:
            return False
        time.sleep(_POLL_S)
    return True
