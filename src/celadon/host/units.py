"""systemd, by its command line: one call is 6 to 12 ms."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from celadon.host.commands import Completed, run_command
from celadon.model.errors import StepError

_SHOWN = "ActiveState,SubState,MainPID,ExecMainStatus,ExecMainCode,NRestarts,Result,ControlGroup"
_CALL_TIMEOUT_S = 30.0
_UNIFIED = Path("/sys/fs/cgroup")
_CONTAINERS = ("docker-", "libpod-", "cri-containerd-")


class Systemctl:
    """`user_manager`: the caller's own systemd instead of the system's."""

    def __init__(self, *, user_manager: bool) -> None:
        self._scope = ["--user"] if user_manager else []

    def call(self, *words: str, timeout_s: float = _CALL_TIMEOUT_S) -> Completed:
        return run_command(["systemctl", *self._scope, *words], timeout_s=timeout_s)

    def require(self, *words: str, code: str) -> Completed:
        """Raises StepError with systemd's own words."""
        done = self.call(*words)
        if not done.ok:
            raise StepError(f"systemctl {' '.join(words)}: {done.output}", code=code, next_command="celadon logs")
        return done

    def show(self, unit: str) -> dict[str, str]:
        """Raises when systemd does not answer: silence must not be read as `stopped`."""
        shown = self.require("show", "-p", _SHOWN, unit, code="systemd_silent")
        return dict(line.partition("=")[::2] for line in shown.stdout.splitlines())


def pids_of(shown: Mapping[str, str]) -> tuple[int, ...]:
    """The unit's control group, the main process first."""
    main = int(shown.get("MainPID") or 0)
    group = shown.get("ControlGroup", "")
    found = {main} if main else set()
    for hierarchy in (_UNIFIED, _UNIFIED / "systemd", _UNIFIED / "unified"):
        try:
            found |= {int(pid) for pid in Path(f"{hierarchy}{group}/cgroup.procs").read_text().split()}
        except OSError:
            continue
        if group:
            break
    return tuple(sorted(found - {0}, key=lambda pid: (pid != main, pid)))


class Keeper(Struct, frozen=True, kw_only=True):
    """What started a process and may start it again: a unit of the system's systemd, a container's engine, or
    neither."""

    unit: str = ""
    container: str = ""


def find_keeper(pid: int) -> Keeper:
    """By the control group that systemd or the engine put it in."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return Keeper()
    return parse_keeper([line.rpartition(":")[2] for line in lines])


def parse_keeper(groups: list[str]) -> Keeper:
    """Pure. `groups` are paths such as `/system.slice/shop.service`."""
    for group in groups:
        parts = group.strip("/").split("/")
        for part in parts:
            if part.startswith(_CONTAINERS) or (parts[0] == "docker" and part != "docker"):
                return Keeper(container=part)
    for group in groups:
        parts = group.strip("/").split("/")
        if parts[0] == "system.slice" and parts[-1].endswith(".service"):
            return Keeper(unit=parts[-1])
    return Keeper()
