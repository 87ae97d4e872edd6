"""How the live slot did before the switch, kept compact: counts a minute and route class, latency as log buckets."""

from collections.abc import Mapping
from math import inf

from msgspec import Struct

from celadon.model.names import Slot


class RouteCount(Struct, frozen=True, array_like=True, gc=False):
    """Units (observe/units.py) of one route class."""

    units_count: int = 0
    bad_units_count: int = 0


class Minute(Struct, frozen=True, array_like=True):
    """`minute` counts minutes since the epoch. `latency` are requests a log bucket (observe/latency.py) of the time
    that the proxy took."""

    minute: int
    routes: Mapping[str, RouteCount]
    latency: Mapping[int, int]


class Baseline(Struct, frozen=True, kw_only=True):
    """Minutes without traffic may be absent. Oldest first. `until_s`: the last request that was looked at, in seconds
    since the epoch; a later gathering begins after it."""

    minutes: tuple[Minute, ...] = ()
    until_s: float = 0.0


class Learned(Struct, frozen=True, kw_only=True):
    """What a baseline comes to. `rate_bound` is what the rate of bad units lies under, `p95_ms` what 95 of a hundred
    requests took at most; None where too little is known. `cut_short`: the log was longer than there was time to read.
    `trial` says what the rule would have done to the live slot itself, and `is_armed` whether it may go back by
    evidence. `problem` is why the baseline was not read or kept."""

    baseline: Baseline = Baseline()
    minutes_count: int = 0
    units_count: int = 0
    bad_units_count: int = 0
    rate_bound: float | None = None
    p95_ms: float | None = None
    cut_short: bool = False
    trial: str = ""
    is_armed: bool = True
    problem: str = ""


class Tenure(Struct, frozen=True, kw_only=True):
    """From `since_s` until `until_s`, seconds since the epoch, all traffic was `slot`'s, and no window was open."""

    slot: Slot
    since_s: float
    until_s: float = inf
