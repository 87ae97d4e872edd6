"""Journeys as evidence: those of the candidate against those of the old slot, like with like.

A dependency's trouble fails the journeys of both, and visitors, but often no readiness. Counted together, the old
slot's many good answers to readiness make it look well and the candidate is blamed: of 30 windows with 120 s of such
trouble at 5 visits a second 29 to 30 were rolled back, and 0 to 3 where journeys alone are the control.
"""

from typing import Final

from celadon.observe.control import Difference
from celadon.observe.evidence import ShareTest
from celadon.observe.rule import PROBE_FLOOR

# Of the old slot in the last ten seconds. With fewer, readiness counts too: other questions are better than hardly any.
CONTROL_ENOUGH: Final = 5


class Journeys:
    """`test` is E_probe, `difference` the control of journeys by journeys."""

    def __init__(self) -> None:
        self.test = ShareTest(PROBE_FLOOR)
        self.difference = Difference(0.0)
        self._passed: dict[str, bool] = {}

    @property
    def are_control(self) -> bool:
        """The old slot runs so many that nothing else is needed to tell how it does."""
        return self.difference.control_count >= CONTROL_ENOUGH

    @property
    def failing(self) -> tuple[str, ...]:
        """Whose last run failed."""
        return tuple(sorted(name for name, passed in self._passed.items() if not passed))

    def pass_time(self, elapsed_s: float) -> None:
        self.test.pass_time(elapsed_s)
        self.difference.pass_time(elapsed_s)

    def add(self, name: str, *, bad: bool) -> None:
        """A run on the candidate."""
        self._passed[name] = not bad
        if bad:
            self.test.add_bad()
            self.difference.add_bad()
        else:
            self.test.n += 1
            self.difference.add_good(1)
