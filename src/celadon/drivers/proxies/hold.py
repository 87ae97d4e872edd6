"""One app at a time behind one proxy, where what one puts in place is loaded together with what another does."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celadon.model.settings import ProxySettings


@contextmanager
def hold_configuration(proxy: ProxySettings) -> Iterator[None]:
    """No other app's driver reads or loads the configuration meanwhile. The directory itself is the lock: it is never
    unlinked, and a death lets go of it. Not to be taken twice by one."""
    directory = Path(proxy.directory)
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
