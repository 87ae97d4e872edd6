"""A whole Debian with its own systemd, nginx and network, booted in about a second."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from celadon.host.children import read_children
from celadon.host.commands import Completed, run_command

REPOSITORY = Path(__file__).parents[2]
PACKAGES = "systemd,systemd-sysv,dbus,libpam-systemd,nginx-light,python3,iproute2,git"
ROOT = REPOSITORY / ".cache" / f"debian-root-{hashlib.sha256(PACKAGES.encode()).hexdigest()[:8]}"
_BOOT_TIMEOUT_S = 60.0


def ensure_root() -> Path:
    """Built once, under a lock and a worthless name; a minute, and 300 MB in .cache/."""
    ROOT.parent.mkdir(exist_ok=True)
    with (ROOT.parent / "debian-root.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ROOT.exists():
            partial = ROOT.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            subprocess.run(
                ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(partial)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            partial.rename(ROOT)
    return ROOT


class Machine:
    """`run` is root's shell inside. What is written survives `reboot`, not `close`."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.tree = base / "tree"
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("tree", "upper", "work"):
            (base / name).mkdir(parents=True)
        options = f"lowerdir={ensure_root()},upperdir={base / 'upper'},workdir={base / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.tree], check=True)

    def boot(self) -> None:
        with (self.base / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                [
                    "systemd-nspawn",
                    f"--directory={self.tree}",
                    f"--machine=celadon-{os.getpid()}",
                    "--boot",
                    "--register=no",
                    "--keep-unit",
                    "--private-network",
                    "--console=pipe",
                    f"--bind-ro={REPOSITORY}:/repo",
                    f"--bind-ro={sysconfig.get_path('purelib')}:/site",
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        until = time.monotonic() + _BOOT_TIMEOUT_S
        while time.monotonic() < until:
            state = self.run("systemctl", "is-system-running").stdout.strip()
            if state in {"running", "degraded"}:
                return
            time.sleep(0.05)
        raise AssertionError((self.base / "console.log").read_text(errors="replace")[-3000:])

    def run(self, *argv: str, timeout_s: float = 120.0) -> Completed:
        """Exit code 125 while there is no machine to enter yet."""
        leader = self._leader()
        if leader is None:
            return Completed(argv=argv, exit_code=125, stdout="", stderr="no leader yet")
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        return run_command(["nsenter", f"--target={leader}", "--all", "--", *argv], timeout_s=timeout_s, env=env)

    def shell(self, script: str, *, timeout_s: float = 120.0) -> Completed:
        return self.run("/bin/sh", "-c", script, timeout_s=timeout_s)

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        target = self.tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def reboot(self) -> None:
        self.power_off()
        self.boot()

    def power_off(self) -> None:
        """As a power button: systemd's orderly shutdown."""
        leader, process = self._leader(), self._process
        if process is None:
            return
        with (self.base / "journal.log").open("a") as kept:
            kept.write(self.run("journalctl", "--no-pager", "-o", "short-precise").output)
        if leader is not None:
            os.kill(leader, signal.SIGRTMIN + 4)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def close(self) -> None:
        self.power_off()
        subprocess.run(["umount", "--lazy", self.tree], check=True)

    def _leader(self) -> int | None:
        if self._process is None:
            return None
        return next(iter(read_children(self._process.pid)), None)


@contextlib.contextmanager
def open_machine(base: Path) -> Iterator[Machine]:
    machine = Machine(base)
    try:
        machine.boot()
        yield machine
    finally:
        machine.close()
