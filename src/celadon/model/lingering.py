"""A slot that the route has left, and that lives on after the bless for its streams alone."""

from msgspec import Struct

from celadon.model.names import ReleaseNumber, Slot


class Lingering(Struct, frozen=True, kw_only=True):
    """`since_s` is by the machine's monotonic clock; `until_at` is wall-clock seconds, for people."""

    slot: Slot
    release: ReleaseNumber | None
    since_s: float
    limit_s: float
    until_at: float

    def left_s(self, now_s: float) -> float:
        """Until its limit; 0 when that is over, and when `now_s` is of a machine that was restarted since."""
        passed_s = now_s - self.since_s
        return max(0.0, self.limit_s - passed_s) if passed_s >= 0 else 0.0
