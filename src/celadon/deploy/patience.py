"""Which connections a drain still waits for, by the policy of each kind. Pure."""

from celadon.deploy.kinds import Judged, quiet_s_of
from celadon.model.connections import Connection, ConnectionKind, Peer
from celadon.model.settings import DrainPolicy, DrainSettings, DrainWay


def is_awaited(judged: Judged, settings: DrainSettings, *, elapsed_s: float) -> bool:
    """`elapsed_s`: since the drain began. An idle connection's time is its own: since it fell quiet."""
    match judged.kind:
        case ConnectionKind.REQUEST:
            return _has_time(settings.requests, elapsed_s)
        case ConnectionKind.STREAM:
            return _has_time(settings.streams, elapsed_s)
        case ConnectionKind.IDLE:
            return _ends_itself(judged.connection) or _has_time(settings.idle, quiet_s_of(judged.connection))


def _has_time(policy: DrainPolicy, past_s: float) -> bool:
    match policy.way:
        case DrainWay.WAIT:
            return True
        case DrainWay.CLOSE_AFTER:
            return past_s < policy.after_s
        case DrainWay.SIGNAL | DrainWay.LINGER:
            return False


def _ends_itself(connection: Connection) -> bool:
    """A proxy closes what its pool does not use; until it has, nobody knows that it is no silent stream."""
    return connection.peer is not Peer.OTHER and connection.received_bytes > 0
