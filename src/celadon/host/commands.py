"""Running other programs: argv lists, a deadline, output kept. Never a shell of ours."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.host.processes import kill_group


class Completed(Struct, frozen=True, kw_only=True):
    """`exit_code` is 127 when the program is not there, 124 when it was ended at the deadline, negative
    for a signal."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    @property
    def output(self) -> str:
        return (self.stdout + self.stderr).strip()


def run_command(
    argv: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    errors: str = "replace",
    merged: bool = False,
) -> Completed:
    """Blocks at most `timeout_s`, then kills the program's whole process group. Never raises for what the
    program does; undecodable output bytes are replaced. `errors` is for both directions. `merged`: what it writes to
    stderr stands in `stdout` too, in the order of writing."""
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            text=True,
            errors=errors,
            start_new_session=True,
        )
    except OSError as error:
        return Completed(argv=tuple(argv), exit_code=127, stdout="", stderr=str(error))
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout_s)
        return Completed(argv=tuple(argv), exit_code=process.returncode, stdout=stdout, stderr=stderr or "")
    except subprocess.TimeoutExpired:
        kill_group(process.pid)
        stdout, stderr = process.communicate()
        note = f"{stderr or ''}\nended after {timeout_s:g} s"
        return Completed(argv=tuple(argv), exit_code=124, stdout=stdout, stderr=note)
