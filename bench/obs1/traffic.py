"""Synthetic visitors: Poisson arrivals in seconds, clients and routes as sites have them, and what goes wrong.

Draws only: it knows no rule. A second is a list of parsed access-log lines; with `lines` they are written as nginx
writes them and parsed by the product's own reader.
"""

import json
from collections.abc import Iterator
from math import exp
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from bench.obs1.cells import SAMPLE_COUNT, WINDOW_S, Cell
from celadon.drivers.traffic.json_lines import parse_hit
from celadon.model.baseline import Baseline, Minute, RouteCount
from celadon.model.names import Slot
from celadon.model.observed import Answer, Hit
from celadon.observe.baseline import UNITS_ENOUGH
from celadon.observe.latency import find_bucket

CANDIDATE = Slot.GREEN

_ROUTES_COUNT = 20
_POOL_LIMIT = 20_000
_CLUSTER_MEAN = 5
_BOT_FROM_S, _BOT_FOR_S = 100, 60
HURRY_TIMES = 4
"""As drivers/probes/asking.py does."""

OK = Answer(ok=True, latency_ms=2.0)
NO = Answer(ok=False, latency_ms=2.0, reason="status 500")


class Second(Struct, kw_only=True):
    """`requests_count` and `failed_count` are of visitors; `hits` is empty when nobody needs them any more."""

    hits: list[Hit]
    requests_count: int
    failed_count: int
    control: list[Answer]
    journeys: list[Answer]
    old_journeys: list[Answer]


def draw_poisson(random: Random, mean: float) -> int:
    if mean <= 0:
        return 0
    if mean > 30:
        return max(0, round(random.gauss(mean, mean**0.5)))
    count, left, limit = 0, random.random(), exp(-mean)
    while left > limit:
        left *= random.random()
        count += 1
    return count


def slow_down(hit: Hit, times: float) -> Hit:
    return replace(hit, duration_ms=times * hit.duration_ms)


def draw_latency_ms(random: Random, *, stalls: float = 0.01) -> float:
    return 80 * exp(0.6 * random.gauss(0, 1)) + (1000 if random.random() < stalls else 0)


def draw_baseline(random: Random, cell: Cell) -> Baseline:
    """An hour in minutes, or seven days in hours where an hour holds less than is asked for; of a young site, all."""
    span = 60 if cell.rate * 3600 >= 1.2 * UNITS_ENOUGH else 7 * 24
    width_s = 60.0 if span == 60 else 3600.0
    if cell.baseline_s is not None:
        span, width_s = 1, cell.baseline_s
    latency: dict[int, int] = {}
    for _ in range(SAMPLE_COUNT):
        bucket = find_bucket(draw_latency_ms(random))
        latency[bucket] = latency.get(bucket, 0) + 1
    minutes = []
    for index in range(span):
        bad = draw_poisson(random, cell.rate * width_s * cell.p_b)
        good = draw_poisson(random, cell.rate * width_s * (1 - cell.p_b))
        routes = {"GET /": RouteCount(good + bad, bad)}
        minutes.append(Minute(int(index * width_s // 60), routes, latency if index == span - 1 else {}))
    return Baseline(minutes=tuple(minutes))


class Visitors:
    """One run's visitors, second by second."""

    def __init__(self, random: Random, cell: Cell, *, lines: bool = False) -> None:
        self._random = random
        self._cell = cell
        self._lines = lines
        self._clients_count = max(50, int(120 * cell.rate))
        self._slower_from_the_first = 1.0 if cell.from_s else cell.slower
        self._pool = [self._draw_hit(bad=False) for _ in range(min(_POOL_LIMIT, max(200, int(cell.rate * 60))))]
        self._next = 0
        self._later: dict[int, list[Hit]] = {}
        self._asked_count = 0
        self.hits_are_needed = True
        self.control_a_second = cell.control_a_second
        self.old_journeys_a_second = cell.journeys_a_second

    def hurry(self) -> None:
        """The old slot is asked more often from now on."""
        self.control_a_second = HURRY_TIMES * self._cell.control_a_second
        self.old_journeys_a_second = HURRY_TIMES * self._cell.journeys_a_second

    def draw(self) -> Iterator[Second]:
        for second in range(1, WINDOW_S + 1):
            yield self._draw_second(second)

    def _draw_second(self, second: int) -> Second:
        if not self.hits_are_needed and not self._cell.bursty:
            return self._count_second(second)
        bad_hits = self._draw_bad(second)
        good_count = draw_poisson(self._random, self._cell.rate * (1 - self._bad_rate(second)))
        hits = self._mix(good_count, bad_hits, second) if self.hits_are_needed else []
        fails = self._cell.p_b + self._ambient(second, probes=True)
        journey_fails = (self._cell.p_g if second > self._cell.from_s else self._cell.p_b) + self._ambient(
            second, probes=True
        )
        return Second(
            hits=self._reparse(hits) if self._lines else hits,
            requests_count=good_count + len(bad_hits),
            failed_count=len(bad_hits),
            control=self._ask(self.control_a_second, fails, slower=self._shared_slowness(second)),
            journeys=self._ask(self._cell.journeys_a_second, journey_fails),
            old_journeys=self._ask(self.old_journeys_a_second, fails),
        )

    def _ask(self, count: int, fails: float, *, slower: float = 1.0) -> list[Answer]:
        ok = OK if slower == 1 else Answer(ok=True, latency_ms=slower * OK.latency_ms)
        return [NO if self._random.random() < fails else ok for _ in range(count)]

    def _count_second(self, second: int) -> Second:
        """For the rules that count only."""
        bad_rate = self._bad_rate(second)
        failed_count = draw_poisson(self._random, self._cell.rate * bad_rate)
        good_count = draw_poisson(self._random, self._cell.rate * (1 - bad_rate))
        return Second(
            hits=[],
            requests_count=good_count + failed_count,
            failed_count=failed_count,
            control=[],
            journeys=[],
            old_journeys=[],
        )

    def _bad_rate(self, second: int) -> float:
        return min(1.0, self._own_rate(second) + self._ambient(second, probes=False))

    def _own_rate(self, second: int) -> float:
        return self._cell.p_g if second > self._cell.from_s else self._cell.p_b

    def _ambient(self, second: int, *, probes: bool) -> float:
        ambient = self._cell.ambient
        if ambient is None or not ambient.lasts_at(second):
            return 0.0
        return ambient.probes if probes else ambient.share

    def _shared_slowness(self, second: int) -> float:
        ambient = self._cell.ambient
        return ambient.slower if ambient is not None and ambient.lasts_at(second) else 1.0

    def _draw_bad(self, second: int) -> list[Hit]:
        mean = self._cell.rate * self._bad_rate(second)
        if self._cell.bursty:
            hits = self._later.pop(second, [])
            for _ in range(draw_poisson(self._random, mean / _CLUSTER_MEAN)):
                hits += self._draw_cluster(second)
        else:
            hits = [self._draw_hit(bad=True) for _ in range(draw_poisson(self._random, mean))]
        if self._cell.bot and _BOT_FROM_S < second <= _BOT_FROM_S + _BOT_FOR_S:
            hits.append(self._make_hit("bot", self._random.randrange(3), bad=True))
        return hits

    def _draw_cluster(self, second: int) -> list[Hit]:
        """One visitor who tries again, or whose page has several parts. The first one is now."""
        client, home = self._draw_client(), self._random.randrange(_ROUTES_COUNT)
        at, now = second, []
        while True:
            route = home if self._random.random() < 0.7 else self._random.randrange(_ROUTES_COUNT)
            hit = self._make_hit(client, route, bad=True)
            if at == second:
                now.append(hit)
            else:
                self._later.setdefault(at, []).append(hit)
            if self._random.random() < 1 / _CLUSTER_MEAN:
                return now
            at += self._random.randrange(3)

    def _mix(self, good_count: int, bad_hits: list[Hit], second: int) -> list[Hit]:
        hits = self._pick_good(good_count)
        if self._cell.cold and self._asked_count < self._cell.cold:
            hits = [self._chill(hit) for hit in hits]
        slower = self._shared_slowness(second) * (self._cell.slower if 0 < self._cell.from_s < second else 1)
        if slower != 1:
            hits = [slow_down(hit, slower) for hit in hits]
        for hit in bad_hits:
            hits.insert(self._random.randrange(len(hits) + 1), hit)
        return hits

    def _pick_good(self, count: int) -> list[Hit]:
        """One after the other: picked at random, those of ten seconds would be the same ones far more often than the
        bad ones are, which are drawn anew, and a smaller share of them units."""
        hits: list[Hit] = []
        while len(hits) < count:
            part = self._pool[self._next : self._next + count - len(hits)]
            self._next = (self._next + len(part)) % len(self._pool)
            hits += part
        return hits

    def _chill(self, hit: Hit) -> Hit:
        self._asked_count += 1
        return slow_down(hit, 3) if self._asked_count <= self._cell.cold else hit

    def _draw_client(self) -> str:
        number = self._random.randrange(self._clients_count)
        return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"

    def _draw_hit(self, *, bad: bool) -> Hit:
        return self._make_hit(self._draw_client(), self._random.randrange(_ROUTES_COUNT), bad=bad)

    def _make_hit(self, client: str, route: int, *, bad: bool) -> Hit:
        status = 500 if bad else 200
        return Hit(
            slot=CANDIDATE,
            status=status,
            upstream_status=status,
            duration_ms=draw_latency_ms(self._random, stalls=self._cell.stalls) * self._slower_from_the_first,
            client_key=client,
            route=f"GET /part-{route}/{self._random.randrange(1000)}",
        )

    @staticmethod
    def _reparse(hits: list[Hit]) -> list[Hit]:
        parsed = [parse_hit(render_line(hit)) for hit in hits]
        return [hit for hit in parsed if hit is not None]


def render_line(hit: Hit) -> bytes:
    method, _, uri = hit.route.partition(" ")
    line = {
        "slot": str(hit.slot),
        "status": str(hit.status),
        "upstream_status": str(hit.upstream_status),
        "request_time": f"{hit.duration_ms / 1000:.3f}",
        "client": hit.client_key,
        "method": method,
        "uri": uri,
        "look": "",
        "pid": "1",
        "upstream": "127.0.0.1:8001",
        "config": "bench",
    }
    return json.dumps(line).encode()
