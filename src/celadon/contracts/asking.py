"""Questions that go on by themselves while the engine does something else."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from celadon.model.names import Slot
from celadon.model.observed import Answer


class Asking(Protocol):
    """Began when it was made; asks one thing again and again until it is closed."""

    def take(self) -> Sequence[Answer]:
        """Every answer since the last call, in order. Never blocks."""
        ...

    def hurry(self) -> None:
        """A verdict waits for the answers: ask at once, and more often from now on."""
        ...

    def close(self) -> None:
        """Never blocks: a verdict must not wait for a slot that hangs. The question under way ends by itself."""
        ...


class NoAsking:
    """Where there is nobody to ask."""

    def take(self) -> Sequence[Answer]:
        return ()

    def hurry(self) -> None: ...

    def close(self) -> None: ...


class KeepAsking(Protocol):
    def __call__(self, ask: Callable[[], Answer], *, interval_s: float) -> Asking:
        """Every `interval_s`, or as soon as a slower answer is there. `ask` must not raise, and is called while the
        engine goes on."""
        ...


class AskProcess(Protocol):
    def __call__(self, process: str, slot: Slot, command: str, *, tree: Path, timeout_s: float) -> Answer:
        """Run the user's `command` about that process: in `tree`, as the app's user, with the variables that the
        process was started with. Exit code 0 is a yes. Blocks for `timeout_s` at most."""
        ...
