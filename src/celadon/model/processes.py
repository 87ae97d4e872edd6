"""What an app runs beside the process that answers requests: `[processes.NAME]` of celadon.toml."""

from enum import StrEnum

from msgspec import Struct

WEB, RELEASE = "web", "release"


class ReleaseCommand(Struct, frozen=True, kw_only=True):
    """Run once in each new release, before it gets any traffic. `service` is as of a worker."""

    command: str
    timeout_s: float = 600.0
    service: str = ""

    @property
    def told(self) -> str:
        return self.command or f"service {self.service}"


class Handover(StrEnum):
    """How the work goes from the old release's worker to the new one's. OVERLAP: the new one starts after the switch,
    the old one stops by the bless. EXCLUSIVE: never are both alive. AFTER_BLESS: the old one works until the bless."""

    OVERLAP = "overlap"
    EXCLUSIVE = "exclusive"
    AFTER_BLESS = "after-bless"


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """`quiet_signal` tells it to begin nothing new, empty: there is none; `stop_signal` to end, which may take
    `grace_s`. `idle` is a command that exits with 0 when nothing is left to wait for.

    In the window: `heartbeat_file` (inside the release, `{process}` in it is the process's name) is touched, or
    `heartbeat_command` exits with 0, within each `heartbeat_max_age_s`; what `queue_depth` prints is at most
    `max_queue_depth`. Empty or None: not watched.

    `schedule` is a calendar expression of systemd: it does not run on, but begins at those instants. `service` is that
    of a Compose project that it is, empty: it runs its command in the web process's."""

    name: str
    command: str
    handover: Handover = Handover.OVERLAP
    quiet_signal: str = ""
    stop_signal: str = "SIGTERM"
    grace_s: float = 30.0
    idle: str = ""
    replicas_count: int = 1
    heartbeat_file: str = ""
    heartbeat_command: str = ""
    heartbeat_max_age_s: float = 30.0
    queue_depth: str = ""
    max_queue_depth: int | None = None
    schedule: str = ""
    service: str = ""

    @property
    def processes(self) -> tuple[str, ...]:
        """Each replica is a process with a name of its own."""
        if self.replicas_count == 1:
            return (self.name,)
        return tuple(f"{self.name}.{number}" for number in range(1, self.replicas_count + 1))


def find_worker_name(process: str) -> str:
    """Of a replica."""
    return process.partition(".")[0]


def name_web_replica(number: int) -> str:
    """From 1 on. The first is called as the only one is."""
    return WEB if number == 1 else f"{WEB}.{number}"


class ProcessSettings(Struct, frozen=True, kw_only=True):
    """How one process of an app is run. `stop_signal` is followed by SIGKILL after `stop_timeout_s`. `is_once`: it ends
    by itself, and is not started again; `is_scheduled`: but by a timer. `listens`: at the slot's address."""

    command: str
    stop_timeout_s: float
    stop_signal: str = "SIGTERM"
    is_once: bool = False
    is_scheduled: bool = False
    listens: bool = False
    service: str = ""
