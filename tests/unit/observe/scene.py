"""Windows as the engine feeds them, told in a line each."""

from collections.abc import Sequence

from celadon.model.baseline import Baseline, Minute, RouteCount
from celadon.model.names import Slot
from celadon.model.observed import Answer, Hit
from celadon.model.verdict import Verdict
from celadon.observe.latency import find_bucket
from celadon.observe.rstar import RStarJudge
from celadon.observe.rule import Rule

YES = Answer(ok=True, latency_ms=2.0)
NO = Answer(ok=False, latency_ms=2.0, reason="status 500")
WINDOW_S = 600.0


def hit(
    client: int | str, *, status: int = 200, route: str = "GET /", ms: float = 80.0, slot: Slot = Slot.GREEN
) -> Hit:
    return Hit(slot=slot, status=status, upstream_status=status, duration_ms=ms, client_key=f"c{client}", route=route)


def hits(good: int, bad: int, *, first: int = 0) -> list[Hit]:
    """Each of a client of its own; the bad ones last."""
    return [hit(first + number, status=200 if number < good else 500) for number in range(good + bad)]


def baseline(units_count: int = 6_000, bad_units_count: int = 0, *, durations_ms: Sequence[float] = ()) -> Baseline:
    latency: dict[int, int] = {}
    for duration_ms in durations_ms:
        latency[find_bucket(duration_ms)] = latency.get(find_bucket(duration_ms), 0) + 1
    return Baseline(minutes=(Minute(0, {"GET /": RouteCount(units_count, bad_units_count)}, latency),))


class Window:
    """A window of one-second feedings; `clients` are new in every second."""

    def __init__(
        self,
        rule: Rule | None = None,
        *,
        known: Baseline | None = None,
        percent: int = 100,
        pace_ms: float | None = None,
    ) -> None:
        self.judge = RStarJudge(rule or Rule(), Slot.GREEN)
        self.judge.take_baseline(known or baseline(), pace_ms=pace_ms)
        self.judge.take_share(percent)
        self.elapsed_s = 0
        self.verdict: Verdict | None = None

    def pass_seconds(
        self,
        count: int,
        *,
        good: int = 0,
        bad: int = 0,
        control: Sequence[Answer] = (YES,) * 5,
        journeys: Sequence[Answer] = (),
        extra: Sequence[Hit] = (),
    ) -> Verdict | None:
        for _ in range(count):
            self.elapsed_s += 1
            for answer in control:
                self.judge.take_control(answer)
            for answer in journeys:
                self.judge.take_journey(answer)
            self.judge.take_traffic([*hits(good, bad, first=self.elapsed_s * 1_000), *extra])
            self.verdict = self.judge.judge(elapsed_s=self.elapsed_s, window_s=WINDOW_S)
            if self.verdict is not None:
                break
        return self.verdict

    def pass_all(self, *, good: int = 0, bad: int = 0, control: Sequence[Answer] = (YES,) * 5) -> Verdict:
        self.pass_seconds(int(WINDOW_S) - self.elapsed_s, good=good, bad=bad, control=control)
        assert self.verdict is not None
        return self.verdict
