"""The TCP sockets of one local port: asked of the kernel (sock_diag(7)), which passes over what was not asked for.

/proc/net/tcp is printed whole, every connection that has just ended with it: 8 ms for an empty table, 60 with the
leavings of a busy minute, on the way of a rollback. It is read only where the kernel takes no question.
"""

import socket
import struct
from collections.abc import Collection, Iterator
from enum import IntEnum
from pathlib import Path

from msgspec import Struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_HEAD = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI")
_SOCKET_ID = struct.Struct(">HH44x")
_ANSWER = struct.Struct("=BBxx48xIIIII")
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


def list_tcp(port: int, states: Collection[TcpState]) -> list[TcpSocket]:
    """IPv4 and IPv6, whatever address of this machine they are bound to."""
    try:
        return [found for family in (socket.AF_INET, socket.AF_INET6) for found in _ask(family, port, states)]
    except OSError:
        return [found for found in read_tcp(port) if found.state in states]


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


def _ask(family: int, port: int, states: Collection[TcpState]) -> Iterator[TcpSocket]:
    """Raises OSError where there is no sock_diag."""
    mask = sum(1 << state for state in states)
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, mask) + _SOCKET_ID.pack(port, 0)
    head = _HEAD.pack(_HEAD.size + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_TIMEOUT_S)
        kernel.send(head + question)
        while True:
            for kind, message in _split(kernel.recv(_RECEIVE_BYTES)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(-struct.unpack_from("=i", message)[0], "sock_diag")
                _, state, _, _, _, uid, inode = _ANSWER.unpack_from(message)
                yield TcpSocket(TcpState(state), uid, str(inode))


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
