"""Which routes fail, for people: the verdict counts all of them alike."""

from typing import Final

from celadon.model.observed import Hit
from celadon.model.verdict import FailingRoute

TOP_COUNT: Final = 5


class Failing:
    """As bounded as routes.Routes is. The sample is the first failed request."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._samples: dict[str, Hit] = {}

    def add(self, route: str, hit: Hit) -> None:
        self._samples.setdefault(route, hit)
        self._counts[route] = self._counts.get(route, 0) + 1

    def pick_top(self) -> tuple[FailingRoute, ...]:
        worst = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:TOP_COUNT]
        return tuple(
            FailingRoute(
                route=route,
                failed_count=count,
                sample=self._samples[route].route,
                sample_id=self._samples[route].request_id,
            )
            for route, count in worst
        )
