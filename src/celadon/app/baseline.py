"""How the live slot did: out of the access log that is there, joined with what was kept, and kept."""

import time
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from celadon.contracts.traffic import Traffic
from celadon.deploy.tenure import read_tenures
from celadon.host.layout import Layout
from celadon.model.baseline import Baseline, Learned
from celadon.model.errors import CeladonError
from celadon.model.settings import ObserveSettings
from celadon.observe.aa import check_aa
from celadon.observe.baseline import know_baseline, pick_recent
from celadon.observe.gather import Gathering
from celadon.observe.latency import find_percentile_ms
from celadon.observe.rule import make_rule
from celadon.store.baseline import read_baseline, write_baseline
from celadon.store.journal import read_entries

READING_LIMIT_S: Final = 3.0


class LogBaselines:
    """Implements contracts.baselines.Baselines. The log is read newest part first, for `limit_s` at most; what was not
    read then never is."""

    def __init__(
        self,
        layout: Layout,
        settings: ObserveSettings,
        *,
        open_traffic: Callable[[], Traffic],
        limit_s: float = READING_LIMIT_S,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._open_traffic = open_traffic
        self._limit_s = limit_s

    def gather(self) -> Learned:
        kept = read_baseline(self._layout)
        try:
            baseline, cut_short = self._read(kept)
        except (OSError, CeladonError) as error:
            learned = summarise(kept or Baseline(), self._settings)
            return replace(learned, problem=f"the access log could not be read: {error}")
        problem = ""
        try:
            write_baseline(self._layout, baseline)
        except OSError as error:
            problem = f"the baseline could not be kept: {error}"
        return replace(summarise(baseline, self._settings), cut_short=cut_short, problem=problem)

    def recall(self) -> Learned:
        return summarise(read_baseline(self._layout) or Baseline(), self._settings)

    def _read(self, kept: Baseline | None) -> tuple[Baseline, bool]:
        """The baseline, and whether time was over before the log was."""
        tenures = read_tenures(read_entries(self._layout.journal, app=self._layout.app))
        gathering = Gathering(kept, tenures=tenures, now_s=time.time())
        deadline = _Deadline(self._limit_s)
        traffic = self._open_traffic()
        try:
            for part in traffic.past(since_s=gathering.since_s, is_over=deadline.is_over):
                gathering.take(part)
        finally:
            traffic.close()
        return gathering.finish(), deadline.was_met


def summarise(baseline: Baseline, settings: ObserveSettings) -> Learned:
    """What it comes to, and what the rule would have done to the slot itself."""
    rule = make_rule(settings)
    known, trial = know_baseline(baseline, rule), check_aa(baseline, rule, window_s=settings.window_s)
    return Learned(
        baseline=baseline,
        minutes_count=len(pick_recent(baseline.minutes)),
        units_count=known.units_count,
        bad_units_count=known.bad_units_count,
        rate_bound=known.rate_bound,
        p95_ms=find_percentile_ms(known.latency, share=0.95),
        trial=trial.describe() if trial.windows_count else "",
        is_armed=trial.is_armed,
    )


class _Deadline:
    """`was_met`: somebody asked after it."""

    def __init__(self, limit_s: float) -> None:
        self._ends_s = time.monotonic() + limit_s
        self.was_met = False

    def is_over(self) -> bool:
        self.was_met = self.was_met or time.monotonic() >= self._ends_s
        return self.was_met
