"""Evidence that a share is above what is tolerated, valid at every moment that one looks.

An e-process: a bet against "the share is at most p0" whose stake never grows on average while that is true, so that it
ever reaches 1/alpha with probability at most alpha (Ville's inequality; Ramdas, Grünwald, Vovk, Shafer: Game-theoretic
statistics and safe anytime-valid inference, 2023). The bet is a mixture over likelier shares, and half of it is spread
over bets that start later: a fault that begins late is not paid for with all the good that came before."""

from collections.abc import Sequence
from math import exp, log
from typing import Final

from celadon.observe.rule import RESTART_EVERY_S

# E-values are told and compared; beyond this they say nothing more, and infinity is no JSON.
EVIDENCE_MAX: Final = 1e15
NO_EVIDENCE: Final = 1.0
_LOG_MAX: Final = log(EVIDENCE_MAX)

SHARES_COUNT: Final = 12
SHARE_LOWEST: Final = 1.5
SHARE_HIGHEST: Final = 0.95

# Bets in play. The oldest but the first is dropped (worth nothing from then on), so that an hour costs what ten
# minutes do.
STARTS_LIMIT: Final = 24

# The weight of each client's first failures, the rest being that of all but the worst client. One failure of one
# client is worth at most 89 at the floor, alone: less than the 125 that a rollback asks for.
_FIRST_ONES: Final = 2 / 3

# The weight of the bet that starts as the i-th (from 0) after the switch: 0.5 c/((i + c)(i + 1 + c)), which sums to 0.5
# however long the window gets; within ten minutes it lies between 0.024 and 0.006.
_SPREAD: Final = 20


def weigh_start(index: int) -> float:
    """Of the whole bet, what starts as the `index`-th; 0 is at the switch."""
    later = index - 1
    return 0.5 if index == 0 else 0.5 * _SPREAD / ((later + _SPREAD) * (later + 1 + _SPREAD))


def weigh_until(index: int) -> float:
    """Of the whole bet, what has started by the `index`-th."""
    return 0.5 + 0.5 * index / (index + _SPREAD)


def count_starts(elapsed_s: float) -> int:
    """How many bets have started by then, the first not counted."""
    return int(elapsed_s // RESTART_EVERY_S)


def pick_shares(p0: float) -> tuple[float, ...]:
    """p_j, evenly in log-odds over [1.5 p0, 0.95]."""
    low, high = log_odds(min(SHARE_LOWEST * p0, (p0 + 1) / 2)), log_odds(max(SHARE_HIGHEST, (p0 + 1) / 2))
    step = (high - low) / (SHARES_COUNT - 1)
    return tuple(1 / (1 + exp(-(low + step * index))) for index in range(SHARES_COUNT))


def log_odds(share: float) -> float:
    return log(share / (1 - share))


class Bets:
    """mean_j (p_j/p0)^k ((1−p_j)/(1−p0))^(n−k): how much likelier k of n is under a larger share."""

    def __init__(self, p0: float) -> None:
        shares = pick_shares(p0)
        self._terms = tuple((log(share / p0), log((1 - share) / (1 - p0))) for share in shares)

    def value(self, k: int, n: int) -> float:
        total = sum(exp(min(k * bad + (n - k) * good, _LOG_MAX)) for bad, good in self._terms)
        return total / SHARES_COUNT


class Start:
    """One bet, from what was counted when it started. `worst_count` are the bad ones of its worst client,
    `repeated_count` those that were not their client's first."""

    __slots__ = ("index", "k", "n", "repeated_count", "weight", "worst_count")

    def __init__(self, index: int, *, k: int, n: int) -> None:
        self.index = index
        self.weight = weigh_start(index)
        self.k = k
        self.n = n
        self.worst_count = self.repeated_count = 0

    def add_client(self, starts: Sequence[int]) -> None:
        own_count = sum(index >= self.index for index in starts)
        self.worst_count = max(self.worst_count, own_count)
        self.repeated_count += own_count > 1

    def value(self, k: int, n: int, bets: Bets) -> float:
        """Half on all but the worst client, half on each client's first failure. One broken client is no evidence to
        the first and hardly any to the second, which needs one failure less where few visitors come."""
        k, n = k - self.k, n - self.n
        if not self.worst_count:
            return bets.value(k, n)
        without_worst = bets.value(k - self.worst_count, n - self.worst_count)
        first_ones = bets.value(k - self.repeated_count, n - self.repeated_count)
        return (1 - _FIRST_ONES) * without_worst + _FIRST_ONES * first_ones


class ShareTest:
    """E_user, E_probe, and the tests of explicit thresholds. Good ones cost an addition; the value is computed when
    asked for, some 50 µs at ten minutes."""

    def __init__(self, p0: float) -> None:
        self.p0 = p0
        self.k = self.n = 0
        self._bets = Bets(p0)
        self._starts = [Start(0, k=0, n=0)]
        self._next_s = RESTART_EVERY_S

    @property
    def latest_start(self) -> int:
        return self._starts[-1].index

    @property
    def worst_count(self) -> int:
        return self._starts[0].worst_count

    def pass_time(self, elapsed_s: float) -> None:
        """Starts what is due. To be called before what was seen by then is counted."""
        if elapsed_s < self._next_s:
            return
        for index in range(self.latest_start + 1, count_starts(elapsed_s) + 1):
            self.start(index)
        self._next_s = (self.latest_start + 1) * RESTART_EVERY_S

    def start(self, index: int) -> None:
        self._starts.append(Start(index, k=self.k, n=self.n))
        if len(self._starts) > STARTS_LIMIT:
            del self._starts[1]

    def add_bad(self, starts: Sequence[int] = ()) -> None:
        """`starts`: when this client's bad ones came (units.BadClients), this one the last; empty where there are no
        clients."""
        self.n += 1
        self.k += 1
        if len(starts) == 1:
            self._add_first()
            return
        for start in self._starts if starts else ():
            start.add_client(starts)

    def _add_first(self) -> None:
        """A client's first one is one to every bet: news only to those that have seen no client, which are the
        latest."""
        for start in reversed(self._starts):
            if start.worst_count:
                return
            start.worst_count = 1

    def value(self) -> float:
        """Leaving bad ones out only ever lowers a value, so that it stays an e-value."""
        return self.weigh()[0]

    def weigh(self) -> tuple[float, int]:
        """The value, and which start it mostly comes from."""
        total = most = 0.0
        best_start = 0
        for start in self._starts:
            part = start.weight * start.value(self.k, self.n, self._bets)
            total += part
            if part > most:
                most, best_start = part, start.index
        waiting = 1 - weigh_until(self.latest_start)
        return min(total + waiting, EVIDENCE_MAX), best_start
