"""What the engine needs of whatever runs an app's processes."""

from collections.abc import Sequence
from typing import Protocol

from celadon.model.names import Slot
from celadon.model.observed import Finding, SlotView, Stopped
from celadon.model.release import Release


class Runner(Protocol):
    """The two slots of one app."""

    def check(self) -> Sequence[Finding]:
        """Can this machine run the app this way? Touches nothing."""
        ...

    def start(self, slot: Slot, release: Release) -> SlotView:
        """Run `release` in `slot`. Whatever ran there before must have been stopped by the caller; the same
        release already running there is left alone. Returns when the process exists, not when it is ready.
        Raises StepError when it could not be started."""
        ...

    def observe(self, slot: Slot) -> SlotView: ...

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        """Whether the slot is started when the machine boots. Idempotent. A runner that cannot says so in
        `check` and does nothing here."""
        ...

    def signal(self, slot: Slot, name: str) -> None:
        """`name`, as `SIGUSR1`, to the main process. Nothing where none runs. Returns when it was sent."""
        ...

    def stop(self, slot: Slot, *, grace_s: float) -> Stopped:
        """SIGTERM, or the stop signal that it was started with, `grace_s`, SIGKILL: afterwards no process of the slot
        is left. Idempotent. Blocks up to `grace_s` plus 5 s. Raises StepError when something survived."""
        ...

    def tail(self, slot: Slot, *, lines_count: int) -> Sequence[str]:
        """The last log lines of what runs or ran there, newest last, control characters escaped."""
        ...
