"""What Traefik counts of each service (`traefik_service_requests_total`): answers by their code, its own 502 and 504
for a slot that did not answer among them."""

from collections.abc import Callable, Mapping

from celadon.drivers.traffic.counted import Totals, TotalsCounters, sum_codes
from celadon.drivers.traffic.prometheus import read_series
from celadon.model.names import Slot

_REQUESTS = "traefik_service_requests_total"


def make_traefik_counters(read_text: Callable[[], str], *, services: Mapping[str, Slot]) -> TotalsCounters:
    """`services` are those that visitors come through, as Traefik names them."""
    return TotalsCounters(lambda: parse_services(read_text(), services=services))


def parse_services(text: str, *, services: Mapping[str, Slot]) -> dict[Slot, Totals]:
    """Empty where none of them has a series: Traefik was told not to count on its entry point, or has just started, for
    else it would have counted the looks that saw the switch. Raises ValueError."""
    counts: dict[Slot, list[tuple[str, int]]] = {slot: [] for slot in services.values()}
    for labels, count in read_series(text, _REQUESTS):
        if (service := labels.get("service", "")) in services:
            counts[services[service]].append((labels.get("code", ""), count))
    return {slot: sum_codes(each) for slot, each in counts.items()} if any(counts.values()) else {}
