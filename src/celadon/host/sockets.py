"""What the kernel says about an address: who listens, how many connections are open. Without `ss`."""

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from celadon.host.processes import list_open_files
from celadon.host.tcp_sockets import OPEN, TcpState, list_tcp
from celadon.model.address import Address, SocketAddress, TcpAddress

_NET = Path("/proc/net")
_LISTENING = frozenset({TcpState.LISTEN})
_UNIX_CONNECTED = "03"
_UNIX_ACCEPTS = 0x10000


class KernelSockets:
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
