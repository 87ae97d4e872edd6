"""How the live slot did before the switch, kept compact: counts a minute and route class, latency as log buckets."""

from collections.abc import Mapping

from msgspec import Struct


class RouteCount(Struct, frozen=True, array_like=True):
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
    """Minutes without traffic may be absent. Oldest first."""

    minutes: tuple[Minute, ...] = ()
