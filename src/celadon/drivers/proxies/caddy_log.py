"""Whose the access log is. Caddy opens and rolls it itself, as the user that it runs as: the packaged one as `caddy`,
while Celadon is root. So the log lies in a directory of its own, and that is given to Caddy's user.

Nothing here may follow a link: who owns the directory may have put one there, and root would give away what it names.
"""

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from celadon.host.processes import ProcessOwner, list_open_files, read_owner
from celadon.host.sockets import KernelSockets
from celadon.model.address import TcpAddress
from celadon.model.observed import Finding, problem

_ANOTHERS_WRITE = 0o022
_ANOTHERS_SEARCH = 0o011


def ensure_log_writable(log: Path, *, listen: TcpAddress) -> None:
    """The log's directory exists and, with a log that is there already, belongs to who listens. Idempotent. Only root
    can give; others make the directory and find it given by a person."""
    log.parent.mkdir(parents=True, exist_ok=True)
    owner = find_owner(listen) if os.geteuid() == 0 else None
    if owner is not None:
        _give(log.parent, owner)
        _give(log, owner)


def check_log(log: Path, *, listen: TcpAddress) -> Iterator[Finding]:
    """What surely keeps Caddy from its log and `ensure_log_writable` cannot mend. A permission of the group counts as
    Caddy's, since it may be: of an access list the group's bits show the most that it gives."""
    uids = KernelSockets().listening_uids(listen)
    if not uids or uids & {0, os.geteuid()}:
        return
    name = _name(min(uids))
    closed = [str(place) for place in log.parent.parents if _is_closed(place, uids, bits=_ANOTHERS_SEARCH)]
    if closed:
        yield problem(
            "access log",
            f"Caddy runs as {name}, who cannot look into {closed[-1]}",
            fix=f"chmod o+x {' '.join(closed)}",
        )
    elif os.geteuid() != 0 and (not log.parent.exists() or _is_closed(log.parent, uids, bits=_ANOTHERS_WRITE)):
        text = f"Caddy runs as {name}, who cannot write into {log.parent}"
        yield problem("access log", text, fix=f"mkdir -p {log.parent} && sudo chown {name}: {log.parent}")


def find_renamed(log: Path, *, listen: TcpAddress) -> Path | None:
    """Where the log that Caddy has open is by now, if somebody renamed it (` (deleted)` behind what was removed): Caddy
    opens it once, and goes on with what it has, also over a reload."""
    directory = os.path.realpath(log.parent)
    for pid in KernelSockets().listening_pids(listen) or ():
        with contextlib.suppress(OSError):
            for name in map(Path, list_open_files(pid)):
                if str(name.parent) == directory and name.name != log.name and name.name.startswith(log.stem):
                    return name
    return None


def find_owner(listen: TcpAddress) -> ProcessOwner | None:
    """Whom Caddy runs as. None where root alone listens, who may write anywhere, and where several others do. systemd
    holds a socket that it has opened for Caddy too, so root among others is not asked."""
    pids = KernelSockets().listening_pids(listen) or ()
    owners = {owner for owner in map(read_owner, pids) if owner is not None and owner.uid != 0}
    return owners.pop() if len(owners) == 1 else None


def _give(path: Path, owner: ProcessOwner) -> None:
    """With the group: Caddy before 2.11 gives the log after a roll the ids of the one before it, and loses a line where
    it may not (2.10.2: "write error: chown …: operation not permitted")."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        found = os.fstat(descriptor)
        if found.st_uid != owner.uid and (stat.S_ISDIR(found.st_mode) or found.st_nlink == 1):
            os.fchown(descriptor, owner.uid, owner.gid)
    finally:
        os.close(descriptor)


def _is_closed(place: Path, uids: frozenset[int], *, bits: int) -> bool:
    try:
        found = place.stat()
    except OSError:
        return False
    return found.st_uid not in uids and not found.st_mode & bits


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
