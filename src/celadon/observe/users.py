"""The visitors' requests of one slot, as units. The one loop that every request of the window passes: about a
microsecond each."""

from collections.abc import Callable, Iterable

from celadon.model.names import Slot
from celadon.model.observed import Hit
from celadon.observe.failing import Failing
from celadon.observe.latency import SKIPPED_COUNT
from celadon.observe.routes import Routes
from celadon.observe.units import CLIENT_ERROR, REMEMBERED_LIMIT, SERVER_ERROR, UNIT_S, BadClients, Units


class Users:
    """4xx are counted and never judged: neither bad nor good, since a scanner can make any number of them."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._units = Units()
        self._routes = Routes()
        self._clients = BadClients()
        self.failing = Failing()
        self.requests_count = self.failed_count = self.client_errors_count = 0

    def take(
        self,
        hits: Iterable[Hit],
        *,
        now_s: float,
        start: int,
        take_good: Callable[[int], None],
        take_bad: Callable[[list[int]], bool],
    ) -> list[float]:
        """`take_good` gets how many good units came since the last bad one; `take_bad` the starts of the client's bad
        units, and says whether all is decided, which ends it. The durations (ms) of the good units, without those of
        the first SKIPPED_COUNT requests."""
        slot, templates = self._slot, self._routes.templates
        young, old = self._units.open(now_s)
        requests_count, good_count = self.requests_count, 0
        durations: list[float] = []
        for hit in hits:
            if hit.slot is not slot or hit.look:
                continue
            requests_count += 1
            status_class = hit.status // 100
            if status_class == CLIENT_ERROR:
                self.client_errors_count += 1
                continue
            key = hit.client_key, templates[hit.route], status_class
            if status_class >= SERVER_ERROR:
                self._count_failure(key[1], hit)
            if key in young or (key in old and now_s - old[key] < UNIT_S) or len(young) >= REMEMBERED_LIMIT:
                continue
            young[key] = now_s
            if status_class < SERVER_ERROR:
                good_count += 1
                if requests_count > SKIPPED_COUNT:
                    durations.append(hit.duration_ms)
                continue
            starts = self._clients.admit(hit.client_key, start=start)
            if starts is None:
                continue
            take_good(good_count)
            good_count = 0
            if take_bad(starts):
                break
        else:
            take_good(good_count)
        self.requests_count = requests_count
        return durations

    def _count_failure(self, route: str, hit: Hit) -> None:
        self.failed_count += 1
        self.failing.add(route, hit)
        self._clients.count_failure(hit.client_key)

    def count_lone_failures(self) -> int:
        """Failed requests of the worst client, when it gets nothing but failures: a broken script, not a crowd behind
        one address."""
        client_key, failed_count = self._clients.find_worst()
        return 0 if self._units.has_good(client_key) else failed_count
