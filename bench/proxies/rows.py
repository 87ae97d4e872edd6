"""A table's rows. A proxy that does not do its part is a row that says so; the others are measured all the same."""

from collections.abc import Callable, Iterable, Sequence

from bench.proxies.families import Family
from bench.proxies.stand import StandError
from celadon.model.errors import StepError

Row = Sequence[object]


def measure_rows(families: Iterable[Family], measure: Callable[[Family], Iterable[Row]]) -> list[Row]:
    """`measure` gives the rows of one family, without its name."""
    rows: list[Row] = []
    for family in families:
        try:
            rows += [(family.name, *row) for row in measure(family)]
        except (StandError, StepError) as error:
            rows.append((family.name, f"**not measured**: {error}"))
    return rows
