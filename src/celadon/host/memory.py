"""The machine's memory, from /proc."""

import os
import re
from pathlib import Path

from celadon.model.observed import HostView

_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_KIB = 1024
_AVAILABLE = re.compile(rb"^MemAvailable: *(\d+)", re.MULTILINE)
_STALLED = re.compile(rb"^some .*total=(\d+)", re.MULTILINE)
_COUNTED = re.compile(rb"^(pswpin|pswpout|oom_kill) (\d+)$", re.MULTILINE)


def parse_available_bytes(meminfo: bytes) -> int | None:
    """Of /proc/meminfo: what programs can still get without swapping."""
    found = _AVAILABLE.search(meminfo)
    return int(found[1]) * _KIB if found else None


class KernelHost:
    """Implements contracts.host.Host."""

    def __init__(self, proc: Path = _PROC) -> None:
        self._proc = proc

    def observe(self) -> HostView:
        stalled = _STALLED.search(self._read("pressure/memory"))
        counted = {name: int(number) for name, number in _COUNTED.findall(self._read("vmstat"))}
        load = self._read("loadavg").split()
        return HostView(
            available_bytes=parse_available_bytes(self._read("meminfo")),
            swapped_in_bytes=counted.get(b"pswpin", 0) * _PAGE_BYTES,
            swapped_out_bytes=counted.get(b"pswpout", 0) * _PAGE_BYTES,
            stalled_s=int(stalled[1]) / 1e6 if stalled else None,
            killed_count=counted.get(b"oom_kill", 0),
            load=float(load[0]) if load else 0.0,
        )

    def _read(self, name: str) -> bytes:
        """Empty where the kernel does not have it, or not for us."""
        try:
            return (self._proc / name).read_bytes()
        except OSError:
            return b""
