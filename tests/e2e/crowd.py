"""Visitors from many addresses, each request counted by what it got."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bench.load.oneshot import make_clients

from tests.contract.single_visit import visit_as
from tests.e2e.site import Site

_CLIENTS_COUNT = 400
_THREADS_COUNT = 4


@contextmanager
def visitors(
    site: Site,
    *,
    paths: Sequence[str] = ("/",),
    headers: Mapping[str, str] | None = None,
    clients_count: int = _CLIENTS_COUNT,
    threads_count: int = _THREADS_COUNT,
) -> Iterator[Counter[int]]:
    """Each request comes from the next address and asks for the next path. Statuses, counted; 0 is no answer."""
    counts: Counter[int] = Counter()
    over = threading.Event()
    turns = zip(itertools.cycle(make_clients(clients_count)), itertools.cycle(paths))
    taking_turns = threading.Lock()

    def come() -> None:
        while not over.wait(0.01):
            with taking_turns:
                client, path = next(turns)
            status = _ask(site.port, client, path, headers)
            with taking_turns:
                counts[status] += 1

    threads = [threading.Thread(target=come) for _ in range(threads_count)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ask(port: int, client: str, path: str, headers: Mapping[str, str] | None) -> int:
    try:
        return visit_as(port, client=client, path=path, headers=dict(headers or {}))[0]
    except (OSError, IndexError):
        return 0
