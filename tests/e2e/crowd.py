"""Visitors from many addresses, each request counted by what it got."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.load.oneshot import make_clients

from tests.contract.single_visit import visit_as
from tests.e2e.site import Site

_CLIENTS_COUNT = 400
_THREADS_COUNT = 4


@contextmanager
def visitors(
    site: Site, *, paths: Sequence[str] = ("/",), clients_count: int = _CLIENTS_COUNT
) -> Iterator[Counter[int]]:
    """Each request comes from the next address and asks for the next path. Statuses, counted; 0 is no answer."""
    counts: Counter[int] = Counter()
    over = threading.Event()
    turns = zip(itertools.cycle(make_clients(clients_count)), itertools.cycle(paths))

    def come() -> None:
        while not over.wait(0.01):
            client, path = next(turns)
            counts[_ask(site.port, client, path)] += 1

    threads = [threading.Thread(target=come) for _ in range(_THREADS_COUNT)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ask(port: int, client: str, path: str) -> int:
    try:
        return visit_as(port, client=client, path=path)[0]
    except (OSError, IndexError):
        return 0
