"""The user's build steps: their own shell commands, in the release's tree, as the app's user."""

import os
import pwd
import selectors
import shlex
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from msgspec import Struct

from celadon.events import BuildStepEnded, BuildStepStarted, Event
from celadon.host.processes import kill_group
from celadon.host.text import escape_controls
from celadon.model.errors import StepError

TAIL_LINES_COUNT = 20
_ASK_EVERY_S = 0.1


class _Step(Struct, frozen=True, kw_only=True):
    """`is_own`: celadon's, not the user's."""

    argv: Sequence[str]
    name: str
    is_own: bool = False


class Builder(Struct, frozen=True, kw_only=True):
    """`owner` is who the steps run as, when we are root. `timeout_s` bounds all steps of one release together."""

    tree: Path
    log: Path
    owner: str | None
    variables: Mapping[str, str]
    timeout_s: float

    def run(self, steps: Sequence[str], *, tell: Callable[[Event], None], cancelled: Callable[[], bool]) -> None:
        """Raises StepError (`build_failed`, `build_timeout`, `cancelled`), the step's processes ended."""
        until_s = time.monotonic() + self.timeout_s
        for step in steps:
            asked = _Step(argv=["/bin/sh", "-c", step], name=step)
            self._run_step(asked, until_s=until_s, tell=tell, cancelled=cancelled)

    def run_argv(
        self, argv: Sequence[str], *, tell: Callable[[Event], None], cancelled: Callable[[], bool]
    ) -> Sequence[str]:
        """A step of ours, as whoever runs celadon and in its environment. Returns the last lines of what it printed."""
        step = _Step(argv=argv, name=shlex.join(argv), is_own=True)
        return self._run_step(step, until_s=time.monotonic() + self.timeout_s, tell=tell, cancelled=cancelled)

    def _run_step(
        self, step: "_Step", *, until_s: float, tell: Callable[[Event], None], cancelled: Callable[[], bool]
    ) -> Sequence[str]:
        if cancelled():
            raise StepError("the build was cancelled", code="cancelled", next_command="celadon deploy")
        tell(BuildStepStarted(command=step.name))
        began = time.monotonic()
        tail: deque[str] = deque(maxlen=TAIL_LINES_COUNT)
        with self.log.open("ab") as log:
            log.write(f"$ {step.name}\n".encode())
            process = self._spawn(step)
            try:
                ended_by = _pump(process, log, tail, until_s=until_s, cancelled=cancelled)
            finally:
                _end_group(process)
        tell(
            BuildStepEnded(
                command=step.name,
                exit_code=process.returncode,
                duration_s=time.monotonic() - began,
                output_tail=() if process.returncode == 0 and not ended_by else tuple(tail),
            )
        )
        if ended_by == "cancelled":
            raise StepError("the build was cancelled", code="cancelled", next_command="celadon deploy")
        if ended_by == "timeout":
            raise StepError(
                f"build step `{step.name}`: not done within {self.timeout_s:g} s",
                code="build_timeout",
                next_command=f"less {self.log}",
            )
        if process.returncode != 0:
            raise StepError(
                f"build step `{step.name}` exited with {process.returncode}; its output is in {self.log}",
                code="build_failed",
                next_command=f"less {self.log}",
            )
        return tuple(tail)

    def _spawn(self, step: "_Step") -> "subprocess.Popen[bytes]":
        drops = self.owner is not None and os.geteuid() == 0 and not step.is_own
        drop = pwd.getpwnam(self.owner) if drops and self.owner is not None else None
        return subprocess.Popen(
            list(step.argv),
            cwd=self.tree,
            env=None if step.is_own else dict(self.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=drop.pw_uid if drop else None,
            group=drop.pw_gid if drop else None,
            extra_groups=os.getgrouplist(drop.pw_name, drop.pw_gid) if drop else None,
        )


def _pump(
    process: "subprocess.Popen[bytes]",
    log: IO[bytes],
    tail: "deque[str]",
    *,
    until_s: float,
    cancelled: Callable[[], bool],
) -> str:
    """Copy output until the step ends, the time is over or somebody cancels. Returns '', 'timeout' or 'cancelled'."""
    if process.stdout is None:
        return ""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(_ASK_EVERY_S):
                chunk = os.read(process.stdout.fileno(), 65536)
                log.write(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                tail.extend(_printable(line) for line in lines)
                if not chunk:
                    break
            elif process.poll() is not None:
                break
            if cancelled():
                return "cancelled"
            if time.monotonic() >= until_s:
                return "timeout"
    if rest:
        tail.append(_printable(rest))
    process.wait()
    return ""


def _printable(line: bytes) -> str:
    return escape_controls(line[-2000:].decode(errors="replace"))


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Nothing that a step left behind survives it."""
    kill_group(process.pid)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
