"""One app at a time behind one proxy, where what one puts in place is loaded together with what another does."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from celadon.model.settings import ProxySettings

_held: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())


@contextmanager
def hold_configuration(proxy: ProxySettings) -> Iterator[None]:
    """No other app's driver reads or loads the configuration meanwhile. The directory itself is the lock: it is never
    unlinked, and a death lets go of it. Who holds it may hold it again."""
    directory = Path(proxy.directory)
    if directory in _held.get():
        yield
        return
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        token = _held.set(_held.get() | {directory})
        try:
            yield
        finally:
            _held.reset(token)
    finally:
        os.close(descriptor)
