"""What an app runs beside the process that answers requests: `[processes.NAME]` of celadon.toml."""

from msgspec import Struct

WEB, RELEASE = "web", "release"


class ReleaseCommand(Struct, frozen=True, kw_only=True):
    """Run once in each new release, before it gets any traffic."""

    command: str
    timeout_s: float = 600.0


class ProcessSettings(Struct, frozen=True, kw_only=True):
    """How one process of an app is run. `stop_signal` is followed by SIGKILL after `stop_timeout_s`. `is_once`: it ends
    by itself, and is not started again. `listens`: at the slot's address."""

    command: str
    stop_timeout_s: float
    stop_signal: str = "SIGTERM"
    is_once: bool = False
    listens: bool = False
