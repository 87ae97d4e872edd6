"""The user's own shell commands: as the app's user, with a deadline, their last words kept.

What a command prints may be secret: `read_output` gives it to whoever asked, and to nobody else.
"""

import contextlib
import os
import pwd
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from celadon.host.processes import kill_group
from celadon.host.text import escape_controls

TIMED_OUT = 124
_TAIL_LINES_COUNT = 20
_TAIL_BYTES = 64 * 1024
_POLL_S = 0.005
_MOST_BYTES = 1 << 20
_LINE_CHARACTERS = 300
_ASK_EVERY_MS = 10


class Ran(Struct, frozen=True, kw_only=True):
    """`exit_code` is 124 for a command that was ended at its deadline, negative for a signal. `output_tail` are its
    last lines, of both streams as they came."""

    exit_code: int
    duration_s: float
    output_tail: tuple[str, ...]


class Said(Struct, frozen=True, kw_only=True):
    """`output` is of stdout alone; `last_line` of stderr, or in its place why the command was ended by us: it went on
    to its deadline or wrote more than 1 MiB."""

    exit_code: int
    output: bytes
    last_line: str


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
            process = _spawn(["/bin/sh", "-c", command], cwd=cwd, env=env, user=user, outputs=(write_end, write_end))
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


def read_output(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], user: str | None, timeout_s: float) -> Said:
    """Blocks at most `timeout_s`, then kills the program's whole process group. It is over when it has exited, whoever
    still holds its output. `user` is of root's commands only. Raises OSError when it cannot be started."""
    until_s = time.monotonic() + timeout_s
    with contextlib.ExitStack() as opened:
        pipes = [os.pipe() for _ in range(2)]
        for read_end, _ in pipes:
            opened.callback(os.close, read_end)
        try:
            process = _spawn(argv, cwd=cwd, env=env, user=user, outputs=(pipes[0][1], pipes[1][1]))
        finally:
            for _, write_end in pipes:
                os.close(write_end)
        output, errors, ended = _read_both(pipes[0][0], pipes[1][0], process.pid, until_s=until_s)
    if ended:
        return Said(exit_code=process.wait(), output=output, last_line=_find_last_line(errors))
    kill_group(process.pid)
    process.wait()
    why = "it wrote more than 1 MiB" if len(output) > _MOST_BYTES else f"it was ended after {timeout_s:g} s"
    return Said(exit_code=TIMED_OUT, output=b"", last_line=why)


def _read_both(output: int, errors: int, pid: int, *, until_s: float) -> tuple[bytes, bytes, bool]:
    """What was written to both, and whether the process has exited, which is not reaped."""
    read = {output: b"", errors: b""}
    ready = select.poll()
    for each in read:
        ready.register(each, select.POLLIN)
    while len(read[output]) <= _MOST_BYTES:
        exited = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        found = ready.poll(0 if exited else _ASK_EVERY_MS)
        for each, _ in found:
            part = os.read(each, _TAIL_BYTES)
            read[each] += part
            if not part:
                ready.unregister(each)
        read[errors] = read[errors][-_TAIL_BYTES:]
        if exited and not any(event & select.POLLIN for _, event in found):
            return read[output], read[errors], True
        if time.monotonic() >= until_s:
            break
    return read[output], read[errors], False


def _find_last_line(errors: bytes) -> str:
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    return escape_controls(lines[-1].strip())[:_LINE_CHARACTERS] if lines else ""


def _spawn(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], user: str | None, outputs: tuple[int, int]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=outputs[0],
        stderr=outputs[1],
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
