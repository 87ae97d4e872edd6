"""What /proc says about a process."""

import math
import os
import pwd
import signal
import subprocess
import time
from pathlib import Path

import pytest

from celadon.host.processes import (
    ProcessFinder,
    ProcessOwner,
    ProcessWatch,
    end_processes,
    find_marked,
    identify,
    read_owner,
)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_whose_a_process_is_is_told_of_one_that_may_not_be_dumped() -> None:
    """It has changed its user; what lies in its /proc/<pid> is root's, as with a program that has capabilities."""
    nobody = pwd.getpwnam("nobody")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _become(nobody, told=writer)
    os.close(writer)
    try:
        assert os.read(reader, 1) == b"."
        assert Path(f"/proc/{child}/status").owner() == "root"
        assert read_owner(child) == ProcessOwner(uid=nobody.pw_uid, gid=nobody.pw_gid)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert read_owner(child) is None


def test_who_looks_again_and_again_sees_what_was_started_since() -> None:
    """A child that stays and one that leaves the session; and no longer what has ended."""
    mark = f"CELADON_TEST_MARK=watch-{os.getpid()}"
    script = "read go; sleep 600 & setsid sleep 600 & wait"
    with subprocess.Popen(
        ["/bin/sh", "-c", script],
        env={"PATH": os.environ["PATH"]} | dict([mark.split("=")]),
        stdin=subprocess.PIPE,
        start_new_session=True,
    ) as shell:
        watch = ProcessWatch(ProcessFinder(mark.encode(), leader=identify(shell.pid)), whole_every_s=math.inf)
        try:
            assert watch() == [shell.pid]
            assert shell.stdin is not None
            shell.stdin.write(b"go\n")
            shell.stdin.flush()
            until_s = time.monotonic() + 20
            while len(found := watch()) < 3 and time.monotonic() < until_s:
                time.sleep(0.01)
            assert len(found) == 3
            assert found == find_marked(mark.encode())
        finally:
            end_processes(lambda: find_marked(mark.encode()), grace_s=0)
        assert watch() == []


def _become(user: pwd.struct_passwd, *, told: int) -> None:
    try:
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os.write(told, b".")
        signal.pause()
    finally:
        os._exit(1)
