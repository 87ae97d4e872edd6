"""What a connection of a slot that the route has left is taken for: numbers in, kind out. Pure.

The kernel knows bytes and times, not HTTP. So the order of the last two tells most: what came and was not answered is a
request, what was answered and is quiet is idle. That is how a WebSocket looks too, and here the route tells: through
the proxy no new request comes any more, so where the other side says something again, or keeps a quiet connection for
longer than the proxy keeps an idle one, it is a stream. Where nothing tells it stays a request, which is waited for.
docs/decisions/0026 has what was measured, and what cannot be known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import Struct

from celadon.model.connections import Connection, ConnectionKind, KindCounts, Peer

QUIET_S = 1.0
"""An answer may pause for as long. Also what the route may take to leave: measured 3 ms, by a reload 150."""
PACED_S = 10.0
"""An app that goes on for longer, unasked and not held up by the other side, goes on for as long as it likes."""


class Judged(Struct, frozen=True):
    connection: Connection
    kind: ConnectionKind


@dataclass(slots=True, kw_only=True)
class Watch:
    """Connections over the looks at them: what was once seen to be a stream stays one. `pooled_s` is how long the proxy
    keeps a connection that no request uses."""

    pooled_s: float
    _streams: set[int] = field(default_factory=set)
    _received_bytes: dict[int, int] = field(default_factory=dict)

    def judge(self, connections: Iterable[Connection], *, left_s: float) -> list[Judged]:
        """`left_s`: since the route was seen to have left the slot."""
        return [Judged(each, self._judge(each, left_s=left_s)) for each in connections]

    def _judge(self, connection: Connection, *, left_s: float) -> ConnectionKind:
        if connection.id in self._streams or self._goes_on(connection, left_s=left_s):
            self._streams.add(connection.id)
            return ConnectionKind.STREAM
        if _is_busy(connection):
            return ConnectionKind.REQUEST
        may_be_idle = connection.peer is Peer.OTHER or connection.received_bytes == 0 or left_s < self.pooled_s
        return ConnectionKind.IDLE if may_be_idle else ConnectionKind.STREAM

    def _goes_on(self, connection: Connection, *, left_s: float) -> bool:
        unheard_s, unsaid_s = connection.unheard_s, connection.unsaid_s
        if unheard_s is None or unsaid_s is None or connection.sent_bytes == 0:
            return False
        if unheard_s - unsaid_s >= PACED_S and not connection.unsent_bytes:
            return True
        if connection.peer is Peer.OTHER or unsaid_s >= left_s - QUIET_S:
            return False
        received_bytes = self._received_bytes.setdefault(connection.id, connection.received_bytes)
        return unheard_s < unsaid_s or connection.received_bytes > received_bytes


def count_kinds(judged: Iterable[Judged]) -> KindCounts:
    kinds = [each.kind for each in judged]
    return KindCounts(
        requests_count=kinds.count(ConnectionKind.REQUEST),
        idle_count=kinds.count(ConnectionKind.IDLE),
        streams_count=kinds.count(ConnectionKind.STREAM),
    )


def quiet_s_of(connection: Connection) -> float:
    """Since the last byte went either way; 0 where the kernel does not say."""
    if connection.unheard_s is None or connection.unsaid_s is None:
        return 0.0
    return min(connection.unheard_s, connection.unsaid_s)


def _is_busy(connection: Connection) -> bool:
    """Something is on its way, or owed, or was so recently that more may follow."""
    if connection.unread_bytes or connection.unsent_bytes or quiet_s_of(connection) < QUIET_S:
        return True
    return connection.received_bytes > 0 and not _is_answered(connection)


def _is_answered(connection: Connection) -> bool:
    """A question and its answer within one tick of the kernel's clock count as answered."""
    if connection.unheard_s is None or connection.unsaid_s is None:
        return False
    return connection.sent_bytes > 0 and connection.unsaid_s <= connection.unheard_s
