"""Totals that only ever rise, read again and again, as what came in between."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from celadon.model.names import Slot
from celadon.model.observed import Counted


class Totals(Struct, frozen=True):
    """Since the proxy began to count."""

    requests_count: int = 0
    failed_count: int = 0
    client_errors_count: int = 0


def sum_codes(counts: Iterable[tuple[str, int]]) -> Totals:
    """Of answers counted by their status. What has none, or was upgraded (1xx), is no request that ended."""
    kinds = dict.fromkeys("2345", 0)
    for code, count in counts:
        if code[:1] in kinds:
            kinds[code[:1]] += count
    return Totals(sum(kinds.values()), kinds["5"], kinds["4"])


class TotalsCounters:
    """Implements contracts.counters.Counters. `read_totals` looks; it raises OSError or ValueError, or leaves a slot
    out, where the proxy does not tell. Totals that fell are those of a proxy that began anew: they count whole."""

    def __init__(self, read_totals: Callable[[], Mapping[Slot, Totals]]) -> None:
        self._read_totals = read_totals
        self._before: Mapping[Slot, Totals] = {}
        self._read_at_s = 0.0
        self.read()

    def read(self) -> Sequence[Counted] | None:
        try:
            totals = self._read_totals()
        except (OSError, ValueError):
            return None
        if not totals:
            return None
        before, read_at_s = self._before, self._read_at_s
        self._before, self._read_at_s = totals, time.monotonic()
        return [
            _subtract(now, before[slot], slot=slot, over_s=self._read_at_s - read_at_s)
            for slot, now in totals.items()
            if slot in before
        ]


def _subtract(now: Totals, before: Totals, *, slot: Slot, over_s: float) -> Counted:
    began_anew = now.requests_count < before.requests_count
    then = Totals() if began_anew else before
    return Counted(
        slot=slot,
        requests_count=now.requests_count - then.requests_count,
        failed_count=max(0, now.failed_count - then.failed_count),
        client_errors_count=max(0, now.client_errors_count - then.client_errors_count),
        over_s=over_s,
    )
