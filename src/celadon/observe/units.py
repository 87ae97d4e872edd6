"""Units: what is counted instead of requests.

Real errors cluster: one reload button, one retrying script, one broken page with twelve parts. Counted as requests
they made a correct sequential test roll back up to 68 % of innocent releases; counted as units, 0 to 2 %, with the
same power."""

from operator import itemgetter
from typing import Final

UNIT_S: Final = 10.0
BAD_UNITS_A_CLIENT: Final = 3

# Ten seconds of 10,000 different visitors a second; beyond it nothing new is a unit until older ones are forgotten.
REMEMBERED_LIMIT: Final = 100_000
BAD_CLIENTS_LIMIT: Final = 10_000

CLIENT_ERROR: Final = 4
SERVER_ERROR: Final = 5

# client_key, route template, status class
UnitKey = tuple[str, str, int]


class Units:
    """A unit is the first request of (client_key, route_template, status_class) in UNIT_S. Two generations of keys are
    remembered, so that forgetting costs nothing a request."""

    def __init__(self) -> None:
        self._young: dict[UnitKey, float] = {}
        self._old: dict[UnitKey, float] = {}
        self._turns_s = UNIT_S

    def is_first(self, key: UnitKey, now_s: float) -> bool:
        young, old = self.open(now_s)
        if key in young or (key in old and now_s - old[key] < UNIT_S) or len(young) >= REMEMBERED_LIMIT:
            return False
        young[key] = now_s
        return True

    def open(self, now_s: float) -> tuple[dict[UnitKey, float], dict[UnitKey, float]]:
        """The young keys and the old ones, with when they were seen, for a loop that does what is_first does without a
        call for each request. Whatever is young was seen less than UNIT_S ago."""
        if now_s >= self._turns_s:
            self._turn(now_s)
        return self._young, self._old

    def has_good(self, client_key: str) -> bool:
        """Whether this client got a good answer in the last ten or twenty seconds. Looks at every key."""
        return any(key[0] == client_key and key[2] < SERVER_ERROR for keys in (self._young, self._old) for key in keys)

    def _turn(self, now_s: float) -> None:
        self._old = self._young if now_s < self._turns_s + UNIT_S else {}
        self._young = {}
        self._turns_s = now_s + UNIT_S


class BadClients:
    """Whose units failed. A client has at most BAD_UNITS_A_CLIENT of them in a window."""

    def __init__(self) -> None:
        self._started: dict[str, list[int]] = {}
        self._failed_counts: dict[str, int] = {}

    def count_failure(self, client_key: str) -> None:
        """Each failed request, for the worst client's name."""
        if client_key in self._failed_counts or len(self._failed_counts) < BAD_CLIENTS_LIMIT:
            self._failed_counts[client_key] = self._failed_counts.get(client_key, 0) + 1

    def find_worst(self) -> tuple[str, int]:
        """The client with most failed requests, and how many."""
        return max(self._failed_counts.items(), key=itemgetter(1), default=("", 0))

    def admit(self, client_key: str, *, start: int) -> list[int] | None:
        """The starts (evidence.py) of this client's bad units, this one the last; None when it has had its share.
        Beyond BAD_CLIENTS_LIMIT every client is a new one."""
        starts = self._started.get(client_key)
        if starts is None:
            starts = []
            if len(self._started) < BAD_CLIENTS_LIMIT:
                self._started[client_key] = starts
        if len(starts) >= BAD_UNITS_A_CLIENT:
            return None
        starts.append(start)
        return starts
