"""Time, and what a person asks of a running operation while it passes."""

from typing import Protocol

from msgspec import Struct

from celadon.model.plan import Request


class Asked(Struct, frozen=True, kw_only=True):
    request: Request
    by: str


class Clock(Protocol):
    def now_s(self) -> float:
        """Monotonic seconds, the same to every process until the machine restarts. No meaning beyond differences."""
        ...

    def spent_s(self) -> float:
        """CPU seconds of the calling thread. No meaning beyond differences."""
        ...

    def wait(self, duration_s: float) -> None:
        """Returns after `duration_s`, or at once when a request arrives."""
        ...


class Control(Protocol):
    def asked(self) -> Asked | None:
        """The newest request not yet taken, without removing it."""
        ...

    def taken(self) -> None:
        """The request was acted on (or came too late): forget it."""
        ...
