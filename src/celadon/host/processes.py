"""What runs on this machine, from /proc: by pid with its start time, by session, by a mark in the environment."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_AFTER_KILL_S = 5.0
_GROUP_DIES_S = 1.0
_WHOLE_EVERY_S = 5.0


class ProcessIdentity(Struct, frozen=True):
    """A pid alone is recycled; with its start time (clock ticks since boot) it is one process."""

    pid: int
    started_ticks: int


def identify(pid: int) -> ProcessIdentity | None:
    """None when there is no such process, or only its zombie."""
    fields = _read_stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return ProcessIdentity(pid, int(fields[19]))


def identify_child(pid: int) -> ProcessIdentity:
    """Of a child that nobody has waited for yet: it has an identity even when it has already ended."""
    fields = _read_stat(pid)
    if fields is None:
        raise ChildProcessError(f"{pid} is no child of this process")
    return ProcessIdentity(pid, int(fields[19]))


def is_alive(identity: ProcessIdentity) -> bool:
    return identify(identity.pid) == identity


class ProcessOwner(Struct, frozen=True):
    """Effective ids."""

    uid: int
    gid: int


def read_owner(pid: int) -> ProcessOwner | None:
    """None when there is no such process. What lies in /proc/<pid> is root's where the program may not be dumped, as
    one with capabilities of its file; the directory never is (linux, fs/proc/base.c, task_dump_owner)."""
    try:
        found = (_PROC / str(pid)).stat()
    except FileNotFoundError:
        return None
    return ProcessOwner(uid=found.st_uid, gid=found.st_gid)


def find_marked(mark: bytes, *, among: Iterable[int] | None = None) -> list[int]:
    """Living processes (of those in `among`) whose initial environment holds the entry `mark` (`NAME=value`),
    ascending. Finds what daemonised away too, since children inherit it. Processes that we may not read are passed
    over."""
    pids = list_pids() if among is None else among
    return [pid for pid in pids if _has_entry(_read_bytes(pid, "environ"), mark) and identify(pid) is not None]


def _has_entry(environ: bytes, mark: bytes) -> bool:
    """Most have not even the bytes: those need no splitting."""
    return mark in environ and mark in environ.split(b"\0")


def find_session(leader: ProcessIdentity, *, among: Iterable[int]) -> list[int]:
    """Living members, `among` all that run, of the session that `leader` began, whether it still lives or not. While
    one member lives its number is not given to another process; when the number belongs to somebody else, the session
    is gone."""
    now = identify(leader.pid)
    if now is not None and now != leader:
        return []
    return [pid for pid in among if _session_of(pid) == leader.pid and identify(pid) is not None]


def _find_group(leader: int) -> list[int]:
    return [pid for pid in list_pids() if _group_of(pid) == leader and identify(pid) is not None]


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _session_of(pid: int) -> int | None:
    """Asked of the kernel: a fiftieth of what reading it from /proc takes, of every process there is."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def read_arguments(pid: int) -> list[str]:
    """Its command line; empty when it is gone or is not to be read."""
    text = _read_bytes(pid, "cmdline").rstrip(b"\0")
    return text.decode(errors="replace").split("\0") if text else []


def find_commands(name: str) -> Iterator[tuple[int, list[str]]]:
    """Living processes whose program is called `name`, with their arguments."""
    for pid in list_pids():
        arguments = read_arguments(pid)
        if arguments and arguments[0].rpartition("/")[2] == name:
            yield pid, arguments


def list_open_files(pid: int | str) -> Iterator[str]:
    """What its descriptors name, as /proc has it (`socket:[42]`; ` (deleted)` behind a file that has no name any more).
    Raises OSError when it is gone or is not to be looked at; a descriptor that is closed meanwhile, as a busy server's
    are, says nothing of the others."""
    directory = f"/proc/{pid}/fd"
    for name in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"{directory}/{name}")


def read_directory(pid: int) -> str:
    """Where it works; `/` when that is not to be read."""
    try:
        return os.readlink(_PROC / str(pid) / "cwd")
    except OSError:
        return "/"


def sum_rss_bytes(pids: Iterable[int]) -> int:
    total = 0
    for pid in pids:
        fields = _read_bytes(pid, "statm").split()
        total += int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0
    return total


def find_with_descendants(roots: Iterable[ProcessIdentity]) -> list[int]:
    """Those of `roots` that live, and what they and their children started, as far as it was not orphaned."""
    children: dict[int, list[int]] = {}
    for pid in list_pids():
        fields = _read_stat(pid)
        if fields is not None and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(pid)
    found: set[int] = set()
    todo = [root.pid for root in roots if is_alive(root)]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return sorted(found)


def end_processes(find: Callable[[], list[int]], *, grace_s: float, ask: Callable[[], bool] = lambda: False) -> bool:
    """`ask` them to end, or SIGTERM to all where that finds nobody; wait up to `grace_s`, SIGKILL until none is found.
    True when SIGKILL was needed. Raises TimeoutError when one survives 5 s of that."""
    ending = {*find()}
    if not ask():
        _signal_all(ending, signal.SIGTERM)
    if _await_none(find, ending, until_s=time.monotonic() + grace_s):
        return False
    until_s = time.monotonic() + _AFTER_KILL_S
    while time.monotonic() < until_s:
        _signal_all(find(), signal.SIGKILL)
        if _await_none(find, ending, until_s=min(until_s, time.monotonic() + 0.2)):
            return True
    raise TimeoutError(f"pid {', '.join(map(str, find()))} survived SIGKILL")


def kill_group(leader: int) -> None:
    """SIGKILL to the process group of `leader`, a child that nobody has waited for. Returns when none of it lives, for
    a signal that was sent has ended nobody yet; after 1 s in any case."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    until_s = time.monotonic() + _GROUP_DIES_S
    while (pids := _find_group(leader)) and (left_s := until_s - time.monotonic()) > 0:
        _await_one(pids[0], timeout_s=left_s)


def signal_process(identity: ProcessIdentity | None, name: str) -> bool:
    """`name` as `SIGUSR1`. False where it does not live."""
    if identity is None or not is_alive(identity):
        return False
    _signal_all([identity.pid], signal.Signals[name])
    return True


class ProcessFinder:
    """All of a slot's processes: those with the mark, and those of the session. Programs that set their title
    overwrite their environment, and programs that daemonise leave their session: few do both. Asked again and
    again, since processes fork while they are being ended."""

    def __init__(self, mark: bytes, *, leader: ProcessIdentity | None) -> None:
        self._mark = mark
        self._leader = leader

    def __call__(self) -> list[int]:
        return self.find([*list_pids()])

    def find(self, pids: Sequence[int], *, unmarked: Collection[int] = ()) -> list[int]:
        """Those among `pids`. Of `unmarked` it is known that they have no mark."""
        members = find_session(self._leader, among=pids) if self._leader is not None else []
        return sorted({*find_marked(self._mark, among=(pid for pid in pids if pid not in unmarked)), *members})


class ProcessWatch:
    """What `finder` finds, for who looks several times a second: a slot's process is a child of one, so that one which
    was not the slot's needs no second look. Each is looked at every `whole_every_s` all the same: its number may have
    become another's."""

    def __init__(self, finder: ProcessFinder, *, whole_every_s: float = _WHOLE_EVERY_S) -> None:
        self._finder = finder
        self._whole_every_s = whole_every_s
        self._others: frozenset[int] = frozenset()
        self._whole_at_s = 0.0

    def __call__(self) -> list[int]:
        now_s = time.monotonic()
        if now_s >= self._whole_at_s:
            self._others, self._whole_at_s = frozenset(), now_s + self._whole_every_s
        pids = [*list_pids()]
        found = self._finder.find(pids, unmarked=self._others)
        self._others = frozenset(pids).difference(found)
        return found


def _await_none(find: Callable[[], list[int]], ending: set[int], *, until_s: float) -> bool:
    """Sleeps on the pidfds of what is left, so that the last death is noticed at once. `ending` takes up what is
    found."""
    while True:
        pids = find()
        ending.update(pids)
        _reap(ending)
        if not pids:
            return True
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return False
        _await_one(pids[0], timeout_s=min(left_s, 0.1))


def _await_one(pid: int, *, timeout_s: float) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    with contextlib.closing(os.fdopen(descriptor, closefd=True)):
        select.select([descriptor], [], [], timeout_s)


def _reap(pids: Iterable[int]) -> None:
    """Those that are children of ours and have ended, and no other: its exit code is for whoever looks at it."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def list_pids() -> Iterator[int]:
    """Ascending; ended ones that nobody has waited for too."""
    yield from sorted(int(entry) for entry in os.listdir(_PROC) if entry.isdigit())


def _read_stat(pid: int) -> list[str] | None:
    """The fields from the third on: the second is a name that may hold spaces and parentheses."""
    text = _read_bytes(pid, "stat").decode(errors="replace")
    return text.rpartition(")")[2].split() if text else None


def _read_bytes(pid: int, name: str) -> bytes:
    """By descriptor: a scan reads some hundred of these, and pathlib's part was two thirds of its time."""
    try:
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return b"".join(iter(lambda: os.read(descriptor, 65536), b""))
    except OSError:
        return b""
    finally:
        os.close(descriptor)
