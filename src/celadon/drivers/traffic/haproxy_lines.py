"""HAProxy's own HTTP formats (`option httplog`, `option httpslog`) and ours (haproxy_text.LOG_FORMAT), which has an
id before the cookies, bare or behind a syslog's head.

All that tells the slot and the outcome stands before the first thing that a visitor has written, and HAProxy encodes
quotes and control characters of headers and paths, though of no cookie. So the line is read from its beginning, and
the first place that looks like one is the only one that counts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from celadon.drivers.traffic.memo import Memo
from celadon.drivers.traffic.tailed import Passed
from celadon.drivers.traffic.text_block import find_lines
from celadon.host.tail import split_block
from celadon.model.names import Slot
from celadon.model.observed import PREVIEWED, Hit

_ROUTE_LIMIT = 512
_LEFT = 499
"""A visitor who went before there was an answer, by nginx's custom."""
_HEAD = r"[^\[]*+\[\d++\]: "
"""The first bracket of a line is a syslog's, or that of HAProxy's date."""
_FIELDS = (
    r"([^ ]+):\d++ \[\d[^ ]++ [^ ]++ [^ /]++/([^ ]++) ([^ ]++ [^ ]++) "
    r"[^ ]++ ([0-9a-f]{8}-[^ ]{27} |)[^ ]++ [^ ]++ [^ ]{4} "
)
"""Client; server; timers and status; id. A captured cookie stands where an id would, with a `=`."""
_REQUEST = r"\"([A-Z-]++ [^ \"?]*+)"
_USUAL = re.compile("^" + _HEAD + _FIELDS + r"[^\"]*+" + _REQUEST, re.ASCII | re.MULTILINE)
"""Behind a syslog's head. All else takes _LINE, which is twice as slow."""
_SYSLOG = re.compile(r"(?:<\d++>)?(?:" + _HEAD + r")?", re.ASCII)
_LINE = re.compile(_FIELDS + r"(.*)", re.ASCII | re.DOTALL)
_ANYWHERE = re.compile(_REQUEST)
_OUTCOME = re.compile(r"(?:[^/]{1,16}/){3}\+?(-?\d{1,15})/\+?(-?\d{1,15}) (-?\d{1,3})", re.ASCII)


class HaproxyLineParser:
    """`servers`: name in the log → slot, and whether its requests are no visitor's."""

    def __init__(self, servers: Mapping[str, tuple[Slot, bool]]) -> None:
        self._servers = {name: (slot, PREVIEWED if aside else "") for name, (slot, aside) in servers.items()}
        self._outcomes = Memo(_read_outcome)

    def parse(self, line: bytes) -> Hit | None:
        """None for a line that is none of this app's requests."""
        taken = self.take(line)
        return taken if isinstance(taken, Hit) else None

    def take(self, line: bytes) -> Hit | Passed:
        text = line.decode("utf-8", "replace")
        usual = _USUAL.match(text)
        words = usual.groups() if usual else _split_carefully(text)
        if words is None:
            return Passed.UNREADABLE if self._begins_as_ours(text) else Passed.FOREIGN
        return self._judge([words])[0]

    def take_block(self, block: bytes) -> Iterable[Hit | Passed]:
        found = find_lines(_USUAL, block)
        return map(self.take, split_block(block)) if found is None else self._judge(found)

    def _judge(self, lines: Iterable[Sequence[str]]) -> list[Hit | Passed]:
        """In one loop: a call for each would take a tenth of the time."""
        taken: list[Hit | Passed] = []
        add, find_server, outcomes = taken.append, self._servers.get, self._outcomes
        for client, server, outcome, request_id, request in lines:
            ours = find_server(server)
            if ours is None:
                add(Passed.FOREIGN)
                continue
            told = outcomes[outcome]
            if told is None:
                add(Passed.UNREADABLE)
                continue
            slot, look = ours
            status, upstream_status, took_ms = told
            add(
                Hit(
                    slot=slot,
                    status=status,
                    upstream_status=upstream_status,
                    duration_ms=took_ms,
                    client_key=client,
                    route=request[:_ROUTE_LIMIT],
                    look=look,
                    request_id=request_id[:-1],
                )
            )
        return taken

    def _begins_as_ours(self, line: str) -> bool:
        """As a request to one of our servers, and does not go on so."""
        words = line[_find_begin(line) :].split(" ", 5)
        return len(words) > 3 and words[3].rpartition("/")[2] in self._servers


def _split_carefully(line: str) -> Sequence[str] | None:
    """None when it is not an HTTP request's line."""
    found = _LINE.match(line, _find_begin(line))
    if found is None:
        return None
    *words, rest = found.groups()
    request = _ANYWHERE.search(rest)
    return [*words, request[1] if request else ""]


def _find_begin(line: str) -> int:
    head = _SYSLOG.match(line)
    return head.end() if head else 0


def _read_outcome(words: str) -> tuple[int, int | None, float] | None:
    """Status, the slot's own status, milliseconds. HAProxy writes -1 for what did not come."""
    found = _OUTCOME.fullmatch(words)
    if found is None:
        return None
    answered_ms, took_ms, status = map(int, found.groups())
    answered = status > 0 and answered_ms >= 0
    return status if status > 0 else _LEFT, status if answered else None, float(max(0, took_ms))
