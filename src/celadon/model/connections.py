"""What the kernel tells of a slot's connections, and what each of them is taken for."""

from enum import StrEnum

from msgspec import Struct


class ConnectionKind(StrEnum):
    """REQUEST: something is being asked or answered, or nobody can tell. IDLE: answered, kept for another request.
    STREAM: both sides go on for as long as they like: WebSockets, events."""

    REQUEST = "request"
    IDLE = "idle"
    STREAM = "stream"


class Peer(StrEnum):
    """Who is at the other end. OTHER: a process of this machine that is no proxy of the site."""

    PROXY = "proxy"
    OTHER = "other"
    UNKNOWN = "unknown"


class Connection(Struct, frozen=True, kw_only=True):
    """One accepted connection as the app's side of the kernel has it, this moment. `id` is never given twice between
    two restarts of the machine. `unread_bytes` has the app not taken yet, `unsent_bytes` the other side not confirmed.
    `unheard_s` and `unsaid_s`: since the last byte came, and went; while none has, since it was accepted. They are None
    where the kernel does not say, as for Unix sockets. `is_ended`: the app has said all that it will."""

    id: int
    peer: Peer = Peer.UNKNOWN
    received_bytes: int = 0
    sent_bytes: int = 0
    unread_bytes: int = 0
    unsent_bytes: int = 0
    unheard_s: float | None = None
    unsaid_s: float | None = None
    is_ended: bool = False


class KindCounts(Struct, frozen=True, kw_only=True):
    """Connections by kind."""

    requests_count: int = 0
    idle_count: int = 0
    streams_count: int = 0

    @property
    def total_count(self) -> int:
        return self.requests_count + self.idle_count + self.streams_count
