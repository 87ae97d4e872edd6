"""Whether a share of the traffic is the share that was asked for."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

from bench.load.oneshot import OneShot, make_clients
from bench.proxies.families import Family
from bench.proxies.rows import Row, measure_rows
from bench.proxies.stand import Stand, StandError, open_stand
from bench.tables import Table
from celadon.config.table import SHARES
from celadon.model.names import Slot

_PERCENTS = (1, 5, 10, 25, 50)
_TOLERANCE = 1.0
_AT_ONCE, _TIMEOUT_S = 8, 30.0


def measure_shares(families: Sequence[Family], *, requests: int) -> Table:
    def measure(family: Family) -> Iterator[Row]:
        with open_stand(family.open, steps=(*_PERCENTS, 100)) as stand:
            if stand.settings.proxy.switch in SHARES.get(family.proxy, ()):
                yield _measure(stand, requests=requests)

    head = ("proxy, way", *(f"asked {percent} %" for percent in _PERCENTS), f"all within {_TOLERANCE:g} point")
    note = f"{requests:,} requests a share, each from another client address: the candidate's answers in per cent."
    return Table(title="Shares of the traffic", head=head, rows=measure_rows(families, measure), note=note)


def _measure(stand: Stand, *, requests: int) -> tuple[object, ...]:
    seen = []
    for percent in _PERCENTS:
        stand.switch(Slot.GREEN, percent=percent)
        seen.append(_ask_all(stand, make_clients(requests)))
    within = all(abs(got - asked) <= _TOLERANCE for got, asked in zip(seen, _PERCENTS, strict=True))
    return *(f"{share:.2f}" for share in seen), "met" if within else "missed"


def _ask_all(stand: Stand, clients: Sequence[str]) -> float:
    counted = asyncio.run(_count(("127.0.0.1", stand.stage.port), stand.site, clients))
    return 100 * counted[Slot.GREEN.value] / len(clients)


async def _count(address: tuple[str, int], site: str, clients: Sequence[str]) -> Counter[str]:
    """Who answered, each client asked once."""
    request = f"GET / HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n".encode()
    counted: Counter[str] = Counter()
    remaining = iter(clients)

    async def ask_some() -> None:
        for client in remaining:
            visit = OneShot(address, client=client)
            await visit.open(timeout_s=_TIMEOUT_S)
            status, version, _ = await visit.ask(request)
            visit.close()
            if status != 200:
                raise StandError(f"{client} got {status}")
            counted[version] += 1

    await asyncio.gather(*(ask_some() for _ in range(_AT_ONCE)))
    return counted
