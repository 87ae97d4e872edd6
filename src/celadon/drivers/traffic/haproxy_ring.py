"""Requests from a ring in HAProxy's memory, read on its runtime socket.

A frontend that says `log ring@celadon_<app> local0` puts its lines there; `show events … -w` gives them as they come.
No file, no daemon, nothing that a chroot hides, and as many readers as want. After a reload a new process has a new
ring: it is read from its beginning, and the old one until that process ends, since its connections live on.
"""

import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence

from celadon.drivers.traffic.haproxy_lines import HaproxyLineParser
from celadon.drivers.traffic.tailed import Passed
from celadon.drivers.traffic.times import read_haproxy_time
from celadon.model.observed import Hit

_TIMEOUT_S = 2.0
_BATCH_BYTES = 8 * 1024 * 1024
"""At most so much a read; the next goes on."""
_LOST = re.compile(rb"(?:^|\s)(?P<count>\d+) events? lost")


class _Reader:
    """One process's ring. `pid` is that process. `earlier` are the lines that were there before reading is to begin:
    `-n` would begin wherever the end is once HAProxy gets to the command, and a visit that is over by then would be
    lost."""

    def __init__(self, admin: str, *, ring: str, pid: int, earlier: Sequence[bytes]) -> None:
        self.pid = pid
        self._after = earlier[-1] if earlier else b""
        self._earlier_count = len(earlier)
        self.ended = False
        self._rest = b""
        self._stream = socket.socket(socket.AF_UNIX)
        self._stream.settimeout(_TIMEOUT_S)
        try:
            self._stream.connect(admin)
            self._stream.sendall(f"show events {ring} -w\n".encode())
        except BaseException:
            self._stream.close()
            raise
        self._stream.setblocking(False)

    def read_lines(self) -> list[bytes]:
        while len(self._rest) < _BATCH_BYTES:
            try:
                chunk = self._stream.recv(262144)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            if not chunk:
                self.ended = True
                break
            self._rest += chunk
        *whole, self._rest = self._rest.split(b"\n")
        return self._skip([line for line in whole if line])

    def _skip(self, lines: list[bytes]) -> list[bytes]:
        """What came after that line. The backlog comes oldest first; it is all new where that line is gone from it."""
        if not self._earlier_count:
            return lines
        passed = lines.index(self._after) + 1 if self._after in lines else 0
        self._earlier_count = 0 if passed else max(0, self._earlier_count - len(lines))
        return lines[passed:] if passed else []

    def close(self) -> None:
        self._stream.close()


class RingTraffic:
    """Implements contracts.traffic.Traffic. Lines that HAProxy had no room for are counted as unreadable."""

    def __init__(self, admin: str, *, ring: str, parser: HaproxyLineParser) -> None:
        self._admin = admin
        self._ring = ring
        self._parser = parser
        self._unreadable_count = 0
        self._readers: list[_Reader] = []
        self._follow(from_end=True)

    def read(self) -> Sequence[Hit]:
        self._follow(from_end=False)
        hits = []
        for reader in list(self._readers):
            for line in reader.read_lines():
                taken = self._parser.take(line)
                if type(taken) is Hit:
                    hits.append(taken)
                else:
                    self._unreadable_count += taken is Passed.UNREADABLE or _count_lost(line)
            if reader.ended:
                reader.close()
                self._readers.remove(reader)
        return hits

    def past(self, *, since_s: float, is_over: Callable[[], bool]) -> Iterator[Iterable[tuple[float, Hit]]]:
        """What the ring still has: a few thousand requests, of the process that answers now."""
        try:
            lines = self._ask(f"show events {self._ring}").split(b"\n")
        except OSError:
            return
        if not is_over():
            yield self._date(lines, since_s)

    def _date(self, lines: Iterable[bytes], since_s: float) -> Iterator[tuple[float, Hit]]:
        for line in lines:
            at_s, hit = read_haproxy_time(line), self._parser.parse(line)
            if at_s is not None and at_s > since_s and hit is not None:
                yield at_s, hit

    @property
    def unreadable_count(self) -> int:
        return self._unreadable_count

    def close(self) -> None:
        while self._readers:
            self._readers.pop().close()

    def _follow(self, *, from_end: bool) -> None:
        """Begin with the process that takes new connections now. One that does not run has no lines yet."""
        try:
            pid = self._read_pid()
            if pid is None or any(reader.pid == pid for reader in self._readers):
                return
            earlier = self._ask(f"show events {self._ring}").split(b"\n")[:-1] if from_end else []
            earlier = [line for line in earlier if line]
            self._readers.append(_Reader(self._admin, ring=self._ring, pid=pid, earlier=earlier))
        except OSError:
            return

    def _read_pid(self) -> int | None:
        found = re.search(rb"^Pid: (\d+)$", self._ask("show info"), re.MULTILINE)
        return int(found[1]) if found else None

    def _ask(self, command: str) -> bytes:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(_TIMEOUT_S)
            stream.connect(self._admin)
            stream.sendall(command.encode() + b"\n")
            answer = b""
            while chunk := stream.recv(262144):
                answer += chunk
        return answer


def _count_lost(line: bytes) -> int:
    lost = _LOST.search(line)
    return int(lost["count"]) if lost else 0
