"""Requests from a log file that a syslog daemon writes for HAProxy."""

from collections.abc import Sequence
from pathlib import Path

from celadon.drivers.traffic.haproxy_lines import HaproxyLineParser
from celadon.host.tail import LineTail
from celadon.model.observed import Hit


class FileTraffic:
    """Implements contracts.traffic.Traffic. Lines of other sites and of HAProxy itself are passed over: only a line
    that names our server and yet cannot be read is counted."""

    def __init__(self, path: Path, *, parser: HaproxyLineParser) -> None:
        self._tail = LineTail(path)
        self._parser = parser
        self._unparsed_count = 0

    def read(self) -> Sequence[Hit]:
        hits = []
        for line in self._tail.read_lines():
            hit = self._parser.parse(line)
            if hit is not None:
                hits.append(hit)
            else:
                self._unparsed_count += self._parser.is_unreadable(line)
        return hits

    @property
    def unreadable_count(self) -> int:
        return self._unparsed_count + self._tail.overlong_count

    def close(self) -> None:
        self._tail.close()
