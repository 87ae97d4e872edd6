"""What a verdict stands on, in words."""

from typing import Final

from celadon.model.verdict import StandsOn

_WORDS: Final = {
    StandsOn.COUNTERS: "visitors are known by the proxy's own counters only, without clients, routes and latencies",
    StandsOn.PROBES: "visitors are not seen, probes alone are",
}


class Stand:
    """On the log, until something else is said."""

    def __init__(self) -> None:
        self.on = StandsOn.LOG
        self._reason = ""

    def take(self, on: StandsOn, *, reason: str) -> None:
        self.on, self._reason = on, reason

    def list_warnings(self) -> tuple[str, ...]:
        return () if self.on is StandsOn.LOG else (f"{_WORDS[self.on]}: {self._reason}",)

    @property
    def is_blind(self) -> bool:
        return self.on is StandsOn.PROBES
