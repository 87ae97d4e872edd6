"""Who is at the other end of a slot's connections: the site's proxy, or somebody else on this machine."""

import os
import socket
from collections.abc import Callable, Iterable, Mapping

from celadon.host.processes import list_open_files, list_pids
from celadon.host.tcp_sockets import TracedSocket, list_callers
from celadon.model.connections import Peer


class Callers:
    """Told once for each connection. `find_proxy` names the processes that listen where the proxy takes the site; None
    when they cannot be seen."""

    def __init__(self, find_proxy: Callable[[], frozenset[int] | None]) -> None:
        self._find_proxy = find_proxy
        self._told: dict[int, Peer] = {}

    def tell(self, kernel: socket.socket, port: int, traced: Iterable[TracedSocket]) -> Mapping[int, Peer]:
        """By cookie. `kernel` is asked of this machine's own connections to `port`. UNKNOWN where the other end is in
        another network or another user's."""
        new = [each for each in traced if each.cookie not in self._told]
        if new:
            inodes = _group(list_callers(kernel, port))
            proxys = self._proxy_inodes() if inodes else None
            for each in new:
                self._told[each.cookie] = _judge(inodes.get(each.remote_port, set()), proxys)
        return self._told

    def _proxy_inodes(self) -> set[str] | None:
        """An old worker of a proxy that was reloaded listens no more: it is known by its program."""
        listeners = self._find_proxy()
        if not listeners:
            return None
        programs = {_read_program(pid) for pid in listeners} - {""}
        pids = listeners | {pid for pid in list_pids() if _read_program(pid) in programs}
        return {inode for pid in pids for inode in _list_inodes(pid)}


def _group(callers: Iterable[tuple[int, str]]) -> dict[int, set[str]]:
    grouped: dict[int, set[str]] = {}
    for port, inode in callers:
        grouped.setdefault(port, set()).add(inode)
    return grouped


def _judge(inodes: set[str], proxys: set[str] | None) -> Peer:
    """A port may be two callers', who come from two addresses of this machine."""
    if not inodes or proxys is None or "0" in inodes:
        return Peer.UNKNOWN
    return Peer.PROXY if inodes & proxys else Peer.OTHER


def _read_program(pid: int) -> str:
    """Replaced on disk meanwhile or not. Empty when it may not be seen."""
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return ""


def _list_inodes(pid: int) -> list[str]:
    """Of its sockets."""
    try:
        return [name[8:-1] for name in list_open_files(pid) if name.startswith("socket:[")]
    except OSError:
        return []
