"""The TCP sockets of one port: asked of the kernel (sock_diag(7)), which passes over what was not asked for.

/proc/net/tcp is printed whole, every connection that has just ended with it: 8 ms for an empty table, 60 with the
leavings of a busy minute, on the way of a rollback. It is read only where the kernel takes no question.

The question is the old one (TCPDIAG_GETSOCK): it alone is answered for IPv4 and IPv6 together. For each the kernel
walks its whole table of connections, whose size follows the machine's memory: 2.0 ms of CPU on 24 GB, and twice that
for two questions by family.
"""

import socket
import struct
from collections.abc import Collection, Iterator
from enum import IntEnum
from pathlib import Path

from msgspec import Struct

_NETLINK_SOCK_DIAG = 4
_TCPDIAG_GETSOCK = 18
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_HEAD = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BxxB")
_SOCKET_ID = struct.Struct(">HH44x")
_STATES = struct.Struct("=Ixxxx")
_ANSWER = struct.Struct("=BBxx48xIIIII")
_PORTS = struct.Struct(">4xHH")
_COOKIE = struct.Struct("=44xQ")
_ATTRIBUTE = struct.Struct("=HH")
_INFO = 2
"""INET_DIAG_INFO: the kernel's struct tcp_info."""
_TOLD = struct.Struct("=44xI4xI72xQ64xQ")
"""Of tcp_info: last_data_sent and last_data_recv in ms, counted in the kernel's ticks (4 ms here); bytes_received,
bytes_sent (since Linux 4.19)."""
_RECEIVE_BYTES = 1 << 16
_TIMEOUT_S = 2.0
_PROC = Path("/proc/net")


class TcpState(IntEnum):
    """As the kernel numbers them, here and in /proc/net/tcp."""

    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT1 = 4
    FIN_WAIT2 = 5
    TIME_WAIT = 6
    CLOSE = 7
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
    CLOSING = 11
    NEW_SYN_RECV = 12


OPEN = frozenset(TcpState) - {TcpState.LISTEN, TcpState.TIME_WAIT, TcpState.CLOSE}
"""Of a connection that was accepted and not yet closed by both sides."""


class TcpSocket(Struct, frozen=True):
    state: TcpState
    uid: int
    inode: str


class TracedSocket(Struct, frozen=True, kw_only=True):
    """With what has gone through it. `cookie` is the socket's own name in the kernel, `remote_port` the other end's.
    The times are None where the kernel keeps no more than a name, as of a connection whose end it waits for alone."""

    state: TcpState
    cookie: int
    remote_port: int
    unread_bytes: int
    unsent_bytes: int
    received_bytes: int = 0
    sent_bytes: int = 0
    heard_ago_s: float | None = None
    sent_ago_s: float | None = None


def list_tcp(port: int, states: Collection[TcpState]) -> list[TcpSocket]:
    """IPv4 and IPv6, whatever address of this machine they are bound to."""
    try:
        with open_diag() as kernel:
            return [_parse(message) for message in _ask(kernel, states, local_port=port)]
    except OSError:
        return [found for found in read_tcp(port) if found.state in states]


def trace_tcp(kernel: socket.socket, port: int) -> list[TracedSocket]:
    """The open connections accepted at `port`. Raises OSError."""
    return [_parse_traced(message) for message in _ask(kernel, OPEN, local_port=port, told=_INFO)]


def list_callers(kernel: socket.socket, port: int) -> list[tuple[int, str]]:
    """(local port, inode) of the open connections of this machine's own processes to `port`. Raises OSError."""
    messages = _ask(kernel, OPEN, remote_port=port)
    return [(_PORTS.unpack_from(message)[0], _parse(message).inode) for message in messages]


def open_diag() -> socket.socket:
    """Asks of the network that the calling thread is in, for as long as it is open. Raises OSError where there is no
    sock_diag."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    kernel.settimeout(_TIMEOUT_S)
    return kernel


def read_tcp(port: int, *, tables: Path = _PROC) -> Iterator[TcpSocket]:
    """The same of every state, from /proc. `tables` is where another process's network is, as /proc/42/net."""
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        for line in _lines(tables / table):
            if wanted not in line:
                continue
            fields = line.split()
            if fields[1].endswith(wanted):
                yield TcpSocket(TcpState(int(fields[3], 16)), int(fields[7]), fields[9])


def _ask(
    kernel: socket.socket,
    states: Collection[TcpState],
    *,
    local_port: int = 0,
    remote_port: int = 0,
    told: int = 0,
) -> Iterator[bytes]:
    """One message a socket; port 0 is any, `told` the attribute that is wanted with it. Raises OSError."""
    wanted = 1 << (told - 1) if told else 0
    mask = sum(1 << state for state in states)
    question = _QUESTION.pack(socket.AF_INET, wanted) + _SOCKET_ID.pack(local_port, remote_port) + _STATES.pack(mask)
    kernel.send(_HEAD.pack(_HEAD.size + len(question), _TCPDIAG_GETSOCK, _REQUEST_DUMP, 1, 0) + question)
    while True:
        for kind, message in _split(kernel.recv(_RECEIVE_BYTES)):
            if kind == _DONE:
                return
            if kind == _ERROR:
                raise OSError(-struct.unpack_from("=i", message)[0], "sock_diag")
            yield message


def _parse(message: bytes) -> TcpSocket:
    _, state, _, _, _, uid, inode = _ANSWER.unpack_from(message)
    return TcpSocket(TcpState(state), uid, str(inode))


def _parse_traced(message: bytes) -> TracedSocket:
    _, state, _, unread_bytes, unsent_bytes, _, _ = _ANSWER.unpack_from(message)
    told = _find_attribute(message, _INFO)
    sent_ago_ms, heard_ago_ms, received_bytes, sent_bytes = (
        _TOLD.unpack_from(told) if len(told) >= _TOLD.size else (None, None, 0, 0)
    )
    return TracedSocket(
        state=TcpState(state),
        cookie=_COOKIE.unpack_from(message)[0],
        remote_port=_PORTS.unpack_from(message)[1],
        unread_bytes=unread_bytes,
        unsent_bytes=unsent_bytes,
        received_bytes=received_bytes,
        sent_bytes=sent_bytes,
        heard_ago_s=None if heard_ago_ms is None else heard_ago_ms / 1000,
        sent_ago_s=None if sent_ago_ms is None else sent_ago_ms / 1000,
    )


def _find_attribute(message: bytes, wanted: int) -> bytes:
    at = _ANSWER.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == wanted:
            return message[at + _ATTRIBUTE.size : at + length]
        at += max((length + 3) & ~3, _ATTRIBUTE.size)
    return b""


def _split(received: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, payload) of each netlink message; they are aligned to four bytes."""
    at = 0
    while at + _HEAD.size <= len(received):
        length, kind, _, _, _ = _HEAD.unpack_from(received, at)
        yield kind, received[at + _HEAD.size : at + length]
        at += max((length + 3) & ~3, _HEAD.size)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()[1:]
    except OSError:
        return []
