"""What Caddy counts of a site (`caddy_http_request_duration_seconds_count`): answers by their code.

It does not know upstreams. So what it counted between two looks is a slot's only where both looks found the whole
route to be that slot's. Before 2.8 an answer of Caddy's own (502 for a slot that did not answer) is counted without a
code, as an error."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from celadon.drivers.traffic.counted import Totals, TotalsCounters, sum_codes
from celadon.drivers.traffic.prometheus import read_series
from celadon.model.names import Slot

_ANSWERS = "caddy_http_request_duration_seconds_count"
_ERRORS = "caddy_http_request_errors_total"
_ITS_OWN = "502"


class CaddySeries(Struct, frozen=True, kw_only=True):
    """Series with these labels are the app's. `hosts` None: they have no such label."""

    server: str
    handler: str
    hosts: frozenset[str] | None = None

    def has(self, labels: Mapping[str, str]) -> bool:
        named = self.hosts is None or labels.get("host") in self.hosts
        return named and (labels.get("server"), labels.get("handler")) == (self.server, self.handler)


def make_caddy_counters(
    read_route: Callable[[], Slot | None], read: Callable[[], tuple[Sequence[CaddySeries], str]], *, errors_coded: bool
) -> TotalsCounters:
    """`read_route` gives no slot while visitors are shared; `read` which series are the app's, and the text."""

    def read_totals() -> dict[Slot, Totals]:
        slot = read_route()
        wanted, text = read()
        if slot is None or not wanted or read_route() is not slot:
            return {}
        return {slot: sum_codes(_find_codes(text, wanted, errors_coded=errors_coded))}

    return TotalsCounters(read_totals)


def _find_codes(text: str, wanted: Sequence[CaddySeries], *, errors_coded: bool) -> Iterator[tuple[str, int]]:
    for labels, count in read_series(text, _ANSWERS):
        if any(series.has(labels) for series in wanted):
            yield labels.get("code", ""), count
    for labels, count in () if errors_coded else read_series(text, _ERRORS):
        if any(series.has(labels) for series in wanted):
            yield _ITS_OWN, count
