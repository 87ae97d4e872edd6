"""The running HAProxy: its runtime socket, its master and workers. Every wait has an end: a socket that is handed over
in a reload may take a command and never answer."""

import contextlib
import os
import signal
import socket
from pathlib import Path

from celadon.drivers.proxies.look import wait_until
from celadon.host.children import read_children, read_title
from celadon.host.sockets import KernelSockets
from celadon.model.address import TcpAddress

_ANSWER_LIMIT_BYTES = 8 << 20
_MASTER_TIMEOUT_S = 5.0
_PAUSE_S = 0.002
_PROC = Path("/proc")


def ask_runtime(path: str, command: str, *, timeout_s: float = 2.0) -> str:
    """One line of commands, its whole answer. 0.1 ms. Raises OSError, TimeoutError among them."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(timeout_s)
        stream.connect(path)
        stream.sendall(command.encode() + b"\n")
        answer = b""
        while len(answer) < _ANSWER_LIMIT_BYTES and (chunk := stream.recv(65536)):
            answer += chunk
    return answer.decode(errors="replace")


def parse_fields(answer: str) -> dict[str, str]:
    """Of `show info`: one `Name: value` a line."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in answer.splitlines())}


class HaproxyProcess:
    """One HAProxy, found by its runtime socket."""

    def __init__(self, admin: str) -> None:
        self.admin = admin

    def ask(self, command: str, *, timeout_s: float = 2.0) -> str:
        return ask_runtime(self.admin, command, timeout_s=timeout_s)

    def read_worker_pid(self) -> int | None:
        """Of the process that takes new connections; None when none answers."""
        try:
            return int(parse_fields(self.ask("show info")).get("Pid", ""))
        except (OSError, ValueError):
            return None

    def read_master_pid(self) -> int | None:
        """None also where HAProxy runs without a master, which cannot be reloaded."""
        worker = self.read_worker_pid()
        parent = _parent_of(worker) if worker else 0
        same = parent > 1 and worker and _program_of(parent) == _program_of(worker)
        return parent if same else None

    def count_lingering(self) -> int:
        """Workers of earlier reloads, which finish the connections that they have."""
        worker, master = self.read_worker_pid(), self.read_master_pid()
        if worker is None or master is None:
            return 0
        program = _program_of(worker)
        return sum(pid != worker and _program_of(pid) == program for pid in read_children(master))

    def reload(self) -> None:
        """Ask the master to. Returns before anything has happened. Raises ProcessLookupError when there is none."""
        master = self.read_master_pid()
        if master is None:
            raise ProcessLookupError("no haproxy runs in master-worker mode (-W or -Ws), so none can be reloaded")
        os.kill(master, signal.SIGUSR2)

    def nudge(self) -> None:
        """Wake the master. A signal that comes to it just after its start lies until another (2.6: 22 of 25 reloads
        asked for at once were only carried out then); this one means nothing to it."""
        master = self.read_master_pid()
        if master is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(master, signal.SIGCHLD)

    def read_arguments(self) -> list[str]:
        """Of the running process; empty when none answers."""
        pid = self.read_worker_pid()
        if pid is None:
            return []
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
        except OSError:
            return []

    def read_places(self) -> list[Path]:
        """What its `-f` name, relative ones from where it was started."""
        words, pid = self.read_arguments(), self.read_worker_pid()
        try:
            start = (_PROC / str(pid) / "cwd").readlink()
        except OSError:
            start = Path("/")
        given: list[Path] = []
        index = 1
        while index < len(words):
            if words[index] in {"-f", "--"}:
                while index + 1 < len(words) and not words[index + 1].startswith("-"):
                    given.append(start / words[index + 1])
                    index += 1
            index += 1
        return given

    def takes_new(self, worker: int, port: int) -> bool:
        """Whether a worker still listens there: in a reload the old one does for a moment beside the new one. Where we
        may not look, it is taken not to."""
        return worker in (KernelSockets().listening_pids(TcpAddress(port=port)) or ())

    def is_own(self, pid: int) -> bool:
        """Whether it is the master or one of its workers."""
        master = self.read_master_pid()
        return pid in {master, self.read_worker_pid()} or (master is not None and pid in read_children(master))

    def read_environment(self) -> dict[str, str] | None:
        """That it was started in, which its configuration may name; None where we may not look."""
        try:
            entries = (_PROC / str(self.read_worker_pid()) / "environ").read_bytes().split(b"\0")
        except OSError:
            return None
        pairs = (entry.decode(errors="surrogateescape").partition("=") for entry in entries if b"=" in entry)
        return {name: value for name, _, value in pairs}

    def read_failed_count(self) -> int | None:
        """Reloads that the master did not carry out, in a row; None where it has no socket to ask."""
        said = self.ask_master("show proc", timeout_s=0.5)
        _, found, rest = said.partition("[failed: ")
        count = rest.partition("]")[0]
        return int(count) if found and count.isdigit() else None

    def await_master(self) -> None:
        """Returns when no reload is under way that had begun before."""
        wait_until(self.is_master_free, timeout_s=_MASTER_TIMEOUT_S, pause_s=_PAUSE_S)

    def is_master_free(self) -> bool:
        """True also where the master has no socket that we may ask. While it reads its configuration, a map among it,
        it answers nobody or refuses. Blocks for 5 s at most."""
        path = self._find_master_socket()
        if not path or not os.access(path, os.W_OK):
            return True
        return bool(self.ask_master("show proc", timeout_s=_MASTER_TIMEOUT_S))

    def ask_master(self, command: str, *, timeout_s: float) -> str:
        """Empty where it has no socket or does not answer. Unlike a worker it keeps the connection for more."""
        path = self._find_master_socket()
        try:
            return ask_runtime(path, f"{command};quit", timeout_s=timeout_s) if path else ""
        except OSError:
            return ""

    def _find_master_socket(self) -> str:
        words = self.read_arguments()
        if "-S" not in words[:-1]:
            return ""
        return words[words.index("-S") + 1].partition(",")[0].removeprefix("unix@")


def _parent_of(pid: int) -> int:
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[1])


def _program_of(pid: int) -> str:
    return read_title(pid).partition(" ")[0]
