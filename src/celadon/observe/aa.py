"""The A/A check: how often the rule would have gone back from a slot that nothing was wrong with.

Only what a baseline keeps can be replayed: units a minute. Who the clients were and what the control said is gone, so
that this fires rather more often than the rule itself would."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from msgspec import Struct

from celadon.model.baseline import Baseline, Minute
from celadon.observe.baseline import MINUTES_MAX, know_baseline
from celadon.observe.evidence import ShareTest
from celadon.observe.rule import ALPHA_ERR, Rule
from celadon.observe.thresholds import ErrorLimit

FIRED_SHARE_MAX: Final = 0.02


class AACheck(Struct, frozen=True, kw_only=True):
    """Windows without traffic are not counted."""

    windows_count: int
    fired_count: int

    @property
    def is_armed(self) -> bool:
        return self.fired_count <= FIRED_SHARE_MAX * self.windows_count

    def describe(self) -> str:
        if not self.windows_count:
            return "no earlier traffic is known to try the rule on: automatic rollback stays armed"
        fired = f"in {self.fired_count} of {self.windows_count} earlier windows the rule would have gone back"
        if self.is_armed:
            return f"{fired}: automatic rollback stays armed"
        return f"{fired}, more than {FIRED_SHARE_MAX:.0%}: automatic rollback is not armed"


def check_aa(baseline: Baseline, rule: Rule, *, window_s: float) -> AACheck:
    """Over the last seven days, in windows that begin at multiples of `window_s`, at least a minute each."""
    p0 = know_baseline(baseline, rule).tolerated_rate
    length = max(1, int(window_s // 60))
    windows = list(_cut(baseline.minutes, length))
    fired_count = sum(_fires(window, rule, p0=p0, length=length) for window in windows)
    return AACheck(windows_count=len(windows), fired_count=fired_count)


def _cut(minutes: Sequence[Minute], length: int) -> Iterable[list[Minute]]:
    recent = (each for each in minutes if minutes[-1].minute - each.minute < MINUTES_MAX)
    seen = (each for each in recent if any(count.units_count for count in each.routes.values()))
    return (list(window) for _, window in groupby(seen, key=lambda each: each.minute // length))


def _fires(window: Sequence[Minute], rule: Rule, *, p0: float, length: int) -> bool:
    """A minute's good units are taken before its bad ones, whose order is not known."""
    user, limit = ShareTest(p0), ErrorLimit(rule)
    for minute in window:
        elapsed_s = 60.0 * (minute.minute % length)
        user.pass_time(elapsed_s)
        limit.pass_time(elapsed_s)
        bad_count = sum(count.bad_units_count for count in minute.routes.values())
        good_count = sum(count.units_count for count in minute.routes.values()) - bad_count
        user.n += good_count
        limit.add_good(good_count)
        for _ in range(bad_count):
            user.add_bad()
            limit.add_bad([])
        if user.value() >= 1 / ALPHA_ERR or limit.find_broken() is not None:
            return True
    return False
