"""What our route costs in the proxy's CPU per request, beside the plain site in the same running proxy.

By the CPU clock of each of the proxy's processes (clock_getcpuclockid(3): user and system of all threads, in ns;
/proc/<pid>/stat has the same sum in ticks of 10 ms, a fiftieth of a round here).
"""

import time
from collections.abc import Iterable, Sequence
from statistics import fmean, median

from bench.proxies.families import MARKS, Family
from bench.proxies.plain import PlainSites
from bench.proxies.rows import Row, measure_rows
from bench.proxies.stand import Stage, Stand, StandError, open_stand
from bench.tables import Table
from celadon.model.names import Slot

_CONNECTIONS = 8
_TURNS_COUNT = 3
"""In a round. Each has connections of its own, which the workers share anew; a busy neighbour hits all sites alike."""
_CPUCLOCK_SCHED = 2
_PLAIN, _LOGGED, _ROUTE = "plain", "logged", "route"
_KINDS = (("keepalive", "keep-alive"), ("oneshot", "one-shot"))


def measure_cost(families: Sequence[Family], *, rounds: int, requests: int) -> Table:
    """`requests` of a round, shared by its sites and both kinds."""

    def measure(family: Family) -> Sequence[Row]:
        return _rows(family, rounds=rounds, requests=requests) if family.plain is not None else []

    head = (
        "proxy",
        "requests",
        "plain µs",
        "+ log line µs",
        "route µs",
        "route / plain",
        "spread",
        "mark",
        "route / + log",
    )
    note = (
        f"CPU of all the proxy's processes, user and system, per request; median of {rounds} rounds of at least "
        f"{requests:,} requests, in which the sites take turns. *Plain*: the site as its owner wrote it, with its "
        "own access log. *+ log line*: the same with what our route logs beside it. *Route*: the site with our "
        "route, both logs on. Ratios are medians of the rounds' ratios, with the least and the largest."
    )
    return Table(title="What the route costs", head=head, rows=measure_rows(families, measure), note=note)


def _rows(family: Family, *, rounds: int, requests: int) -> list[tuple[object, ...]]:
    found: list[PlainSites] = []
    plain = family.plain
    assert plain is not None

    def prepare(stage: Stage) -> None:
        found.append(plain(stage))

    with open_stand(family.open, prepare=prepare) as stand:
        ports = {_PLAIN: found[0].plain, _LOGGED: found[0].logged, _ROUTE: stand.stage.port}
        ports = {name: port for name, port in ports.items() if port}
        each = requests // len(ports) // len(_KINDS) // _TURNS_COUNT + 1
        _run_turn(stand, ports, each=each)
        measured = [_run_round(stand, ports, each=each) for _ in range(rounds)]
    return [(word, *_row(family, [took[kind] for took in measured])) for kind, word in _KINDS]


def _turn(ports: dict[str, int], number: int) -> dict[str, int]:
    """Nobody is always the first."""
    names = [*ports]
    at = number % len(names)
    return {name: ports[name] for name in names[at:] + names[:at]}


def _run_round(stand: Stand, ports: dict[str, int], *, each: int) -> dict[str, dict[str, float]]:
    """kind → site → µs a request."""
    turns = [_run_turn(stand, _turn(ports, number), each=each) for number in range(_TURNS_COUNT)]
    return {kind: {name: fmean(turn[kind][name] for turn in turns) for name in ports} for kind, _ in _KINDS}


def _run_turn(stand: Stand, ports: dict[str, int], *, each: int) -> dict[str, dict[str, float]]:
    return {kind: {name: _time(stand, kind, port, each) for name, port in ports.items()} for kind, _ in _KINDS}


def _time(stand: Stand, kind: str, port: int, requests: int) -> float:
    pids = stand.proxy_pids()
    before = read_cpu_s(pids)
    load = stand.start_load(port=port, think_ms=0.0, requests=requests, **{kind: _CONNECTIONS})
    tally = load.await_end(timeout_s=120.0)
    cpu_s = read_cpu_s(pids) - before
    if tally.failed + tally.closed or set(tally.versions) != {Slot.BLUE.value}:
        raise StandError(f"{dict(tally.faults)} {dict(tally.versions)}")
    return cpu_s / tally.requests * 1e6


def read_cpu_s(pids: Iterable[int]) -> float:
    return sum(time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED) for pid in pids) / 1e9


def _row(family: Family, rounds: list[dict[str, float]]) -> tuple[object, ...]:
    middles = {name: f"{median(took[name] for took in rounds):.1f}" for name in rounds[0]}
    ratios = [took[_ROUTE] / took[_PLAIN] for took in rounds]
    mark = MARKS[family.proxy.value].cpu_ratio
    verdict = "-" if mark is None else f"<= {mark:.2f}: {'met' if median(ratios) <= mark else 'missed'}"
    beside_log = f"{median(took[_ROUTE] / took[_LOGGED] for took in rounds):.3f}" if _LOGGED in rounds[0] else "-"
    return (
        middles[_PLAIN],
        middles.get(_LOGGED, "-"),
        middles[_ROUTE],
        f"{median(ratios):.3f}",
        f"{min(ratios):.3f} – {max(ratios):.3f}",
        verdict,
        beside_log,
    )
