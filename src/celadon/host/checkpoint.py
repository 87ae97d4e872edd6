"""Named points around every effect, where a test may end the process. Inert unless armed twice: by the environment
and by a file in the state directory that no real installation has."""

import errno
import os
import signal
from pathlib import Path

ARMED_BY = "CELADON_TEST_CHECKPOINT"
RECORDED_BY = "CELADON_TEST_CHECKPOINT_LOG"
TEST_INSTALL = "test-install"

_SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}
_ERRORS = {"enospc": errno.ENOSPC, "eio": errno.EIO}
_passed: dict[str, int] = {}


def reached(name: str) -> None:
    """`NAME:ACTION[:NTH]` in the environment acts when `name` is passed for the NTH time (1 by default): a signal
    to this process, or OSError with that errno. Acts once: the install's mark is used up, so that the recovery which
    inherits the environment lives. Costs two dictionary look-ups when not armed."""
    armed, record = os.environ.get(ARMED_BY), os.environ.get(RECORDED_BY)
    if armed is None and record is None:
        return
    if not (Path(os.environ.get("CELADON_ROOT", "/nonexistent")) / TEST_INSTALL).exists():
        return
    _passed[name] = _passed.get(name, 0) + 1
    if record is not None:
        with Path(record).open("a") as stream:
            stream.write(f"{name}\n")
    if armed is not None:
        _act(armed, name)


def _act(armed: str, name: str) -> None:
    wanted, action, *nth = armed.split(":")
    if wanted != name or _passed[name] != int(nth[0] if nth else 1):
        return
    (Path(os.environ["CELADON_ROOT"]) / TEST_INSTALL).unlink()
    if action in _SIGNALS:
        os.kill(os.getpid(), _SIGNALS[action])
    else:
        raise OSError(_ERRORS[action], f"{os.strerror(_ERRORS[action])} (injected at {name})")
