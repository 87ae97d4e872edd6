"""Good enough to bless: the rate of bad units is shown to be under a bound, valid at every moment that one looks."""

from math import exp, lgamma, log
from typing import Final

ALPHA_HEALTHY: Final = 0.05

# Jeffreys' prior: weight near 0, where healthy releases are.
_PRIOR: Final = 0.5

_HALVINGS: Final = 50


def weigh_against(k: int, n: int, *, bound: float) -> float:
    """Evidence against "the rate is `bound` or more". With none bad it is the bet on a rate of 0, (1 − bound)^−n: 59
    units for 5 %, 299 for 1 %. Else Robbins' mixture over all rates (Statistical methods related to the law of the
    iterated logarithm, 1970); it counts only for a share below the bound. Both bets are counted in full, so that
    together they are wrong at most 2 × ALPHA_HEALTHY of the time."""
    if k == 0:
        return exp(min(-n * log(1 - bound), 700.0))
    if k >= bound * n:
        return 0.0
    seen = k * log(bound) + (n - k) * log(1 - bound)
    return exp(min(_log_beta(k + _PRIOR, n - k + _PRIOR) - _log_beta(_PRIOR, _PRIOR) - seen, 700.0))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def is_shown_below(k: int, n: int, *, bound: float) -> bool:
    return weigh_against(k, n, bound=bound) >= 1 / ALPHA_HEALTHY


def find_upper(k: int, n: int) -> float:
    """The smallest bound that is shown, 1 where none is."""
    low, high = k / n if n else 1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_shown_below(k, n, bound=min(middle, 1 - 1e-12)) else (middle, high)
    return high
