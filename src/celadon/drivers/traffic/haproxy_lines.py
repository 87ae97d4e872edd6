"""HAProxy's own HTTP formats (`option httplog`, `option httpslog`), bare or behind a syslog's head.

All that tells the slot and the outcome stands before the first thing that a visitor has written, and HAProxy encodes
quotes and control characters of those. So the line is read from its beginning, and the first place that looks like
one is the only one that counts.
"""

import re
from collections.abc import Mapping

from celadon.model.names import Slot
from celadon.model.observed import PREVIEWED, Hit

_ROUTE_LIMIT = 512
_LEFT = 499
"""A visitor who went before there was an answer, by nginx's custom."""
_LINE = re.compile(
    rb"(?P<client>[0-9a-fA-F.:]+|unix):\d+ \[\d\d/\w{3}/\d{4}:[\d:.]+\] \S+ (?P<backend>\S+)/(?P<server>\S+) "
    rb"(?P<times>[-\d+]+/[-\d+]+/[-\d+]+/[-\d+]+/[-\d+]+) (?P<status>-?\d+) \+?\d+ \S+ \S+ \S{4} "
    rb"\+?\d+/\+?\d+/\+?\d+/\+?\d+/\+?\d+ \+?\d+/\+?\d+ (?P<rest>.*)",
    re.DOTALL,
)
_SYSLOG = re.compile(rb"(?:<\d+>)?(?:[^\"{}\[\]]*?\[\d+\]: )?")
_REQUEST = re.compile(rb'"(?P<method>[A-Z-]+) (?P<uri>[^ "]*)')


class HaproxyLineParser:
    """`servers`: name in the log → slot, and whether its requests are no visitor's."""

    def __init__(self, servers: Mapping[str, tuple[Slot, bool]]) -> None:
        self._servers = {name.encode(): slot for name, slot in servers.items()}

    def parse(self, line: bytes) -> Hit | None:
        """None for a line that is none of this app's requests."""
        found = match_line(line)
        if found is None or found["server"] not in self._servers:
            return None
        slot, aside = self._servers[found["server"]]
        times = [int(time.lstrip(b"+")) for time in found["times"].split(b"/")]
        status = int(found["status"])
        return Hit(
            slot=slot,
            status=status if status > 0 else _LEFT,
            upstream_status=status if times[3] >= 0 and status > 0 else None,
            duration_ms=float(max(0, times[4])),
            client_key=found["client"].decode(),
            route=_parse_route(found["rest"]),
            look=PREVIEWED if aside else "",
        )

    def is_unreadable(self, line: bytes) -> bool:
        """A line that begins as a request to one of our servers and does not go on so."""
        head = _SYSLOG.match(line)
        words = line[head.end() if head else 0 :].split(b" ", 5)
        return len(words) > 3 and words[3].rpartition(b"/")[2] in self._servers and match_line(line) is None


def match_line(line: bytes) -> re.Match[bytes] | None:
    """None when it is not an HTTP request's line."""
    head = _SYSLOG.match(line)
    return _LINE.match(line, head.end() if head else 0)


def _parse_route(rest: bytes) -> str:
    """The captured headers, where there are some, stand before the request in braces and may hold anything."""
    found = _REQUEST.search(rest)
    if found is None:
        return ""
    path = found["uri"].partition(b"?")[0].decode(errors="replace")
    return f"{found['method'].decode()} {path}"[:_ROUTE_LIMIT]
