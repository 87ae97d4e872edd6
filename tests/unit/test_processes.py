"""What /proc says about a process."""

import os
import pwd
import signal
from pathlib import Path

import pytest

from celadon.host.processes import ProcessOwner, read_owner


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


def _become(user: pwd.struct_passwd, *, told: int) -> None:
    try:
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os.write(told, b".")
        signal.pause()
    finally:
        os._exit(1)
