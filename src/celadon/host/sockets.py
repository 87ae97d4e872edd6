"""What the kernel says about an address: who listens, how many connections are open. Without `ss`."""

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from socket import socket as Socket  # noqa: N812  a type

from celadon.host.callers import Callers
from celadon.host.processes import list_open_files
from celadon.host.tcp_sockets import OPEN, TcpState, TracedSocket, list_tcp, open_diag, read_tcp, trace_tcp
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.connections import Connection, Peer

_NET = Path("/proc/net")
_LISTENING = frozenset({TcpState.LISTEN})
_APP_IS_DONE = frozenset({TcpState.FIN_WAIT2})
"""The app has closed and the other side has it all: nothing is lost with the app."""
_UNIX_CONNECTED = "03"
_UNIX_ACCEPTS = 0x10000


class KernelSockets:
    """`proxy` is where the site's proxy listens: None, and nobody at the other end of a connection is known."""

    def __init__(self, *, proxy: TcpAddress | None = None) -> None:
        self._callers = Callers(lambda: self.listening_pids(proxy) if proxy else None)

    def listening_pids(self, address: Address) -> frozenset[int] | None:
        inodes = frozenset(_listening_inodes(address))
        if not inodes:
            return frozenset()
        holders = frozenset(_holders(inodes, among=filter(str.isdigit, os.listdir("/proc"))))
        return holders or None

    def is_held(self, address: Address, *, by: Collection[int]) -> bool:
        return any(_holders(frozenset(_listening_inodes(address)), among=map(str, by)))

    def listening_uids(self, address: TcpAddress) -> frozenset[int]:
        """Users who have opened the listening sockets on the port, those of other users' processes too. A socket that
        systemd has opened for a program is root's."""
        return frozenset(found.uid for found in list_tcp(address.port, _LISTENING))

    def connections_count(self, address: Address) -> int:
        match address:
            case TcpAddress(port=port):
                return len(list_tcp(port, OPEN))
            case SocketAddress(path=path):
                return sum(1 for _, state, _, name in _unix_sockets() if name == path and state == _UNIX_CONNECTED)

    def connections(self, address: Address) -> list[Connection]:
        match address:
            case TcpAddress(port=port):
                try:
                    with open_diag() as kernel:
                        return self._trace(kernel, port, machine=kernel, called=port)
                except OSError:
                    return _read_untraced(port, tables=_NET)
            case SocketAddress(path=path):
                accepted = (
                    inode for _, state, inode, name in _unix_sockets() if name == path and state == _UNIX_CONNECTED
                )
                return [Connection(id=int(inode)) for inode in accepted]

    def connections_inside(self, pid: int, *, port: int, called: int) -> list[Connection]:
        """As `connections`, of `port` in the network that `pid` is in, which this machine's processes call at the port
        `called`."""
        from celadon.host.inside import open_diag_inside  # 5 ms that only containers cost

        try:
            with open_diag_inside(pid) as kernel, open_diag() as machine:
                return self._trace(kernel, port, machine=machine, called=called)
        except OSError:
            return _read_untraced(port, tables=Path(f"/proc/{pid}/net"))

    def _trace(self, kernel: Socket, port: int, *, machine: Socket, called: int) -> list[Connection]:
        traced = [each for each in trace_tcp(kernel, port) if each.state not in _APP_IS_DONE]
        peers = self._callers.tell(machine, called, traced)
        return [_describe(each, peers.get(each.cookie, Peer.UNKNOWN)) for each in traced]


def _describe(traced: TracedSocket, peer: Peer) -> Connection:
    return Connection(
        id=traced.cookie,
        peer=peer,
        received_bytes=traced.received_bytes,
        sent_bytes=traced.sent_bytes,
        unread_bytes=traced.unread_bytes,
        unsent_bytes=traced.unsent_bytes,
        unheard_s=traced.heard_ago_s,
        unsaid_s=traced.sent_ago_s,
    )


def _read_untraced(port: int, *, tables: Path) -> list[Connection]:
    open_ones = OPEN - _APP_IS_DONE
    return [Connection(id=int(found.inode)) for found in read_tcp(port, tables=tables) if found.state in open_ones]


def _listening_inodes(address: Address) -> Iterator[str]:
    match address:
        case TcpAddress(port=port):
            yield from (found.inode for found in list_tcp(port, _LISTENING))
        case SocketAddress(path=path):
            yield from (inode for flags, _, inode, name in _unix_sockets() if name == path and flags & _UNIX_ACCEPTS)


def _unix_sockets() -> Iterator[tuple[int, str, str, str]]:
    """(flags, state, inode, path). Sockets without a path are passed over."""
    for line in _lines(_NET / "unix"):
        fields = line.split(maxsplit=7)
        if len(fields) == 8:
            yield int(fields[3], 16), fields[5], fields[6], fields[7]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        return []


def _holders(inodes: frozenset[str], *, among: Iterable[str]) -> Iterator[int]:
    """Those of `among` that hold one of the sockets open, as far as we may look."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    return (int(pid) for pid in among if _holds_one(pid, wanted))


def _holds_one(pid: str, wanted: set[str]) -> bool:
    try:
        return any(name in wanted for name in list_open_files(pid))
    except OSError:
        return False
