"""Any sequence of deploys, deaths, recoveries, reboots and full disks keeps the invariants."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from celadon.deploy.ledger import read_ledger
from celadon.model.journeys import Journey, JourneyStep
from celadon.model.observed import SlotStatus
from celadon.model.plan import Outcome
from tests.fakes.world import Died, Nature, World, WorldRunner, ask_abort, make_settings

NEED_EVIDENCE = {Nature.DEAD_WHEN_ROUTED, Nature.HIDDEN_BY_PROXY}
"""What limits alone do not find (test_engine_journeys.py)."""
BAD = [nature for nature in Nature if nature is not Nature.GOOD and nature not in NEED_EVIDENCE]
SETTINGS = replace(make_settings(), journeys=(Journey(name="buy", steps=(JourneyStep(path="/cart"),)),))


class Life(RuleBasedStateMachine):
    """One app's life. After every rule the machine has been recovered, as the next command would do."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.number = 0
        self.serving: int | None = None

    def _deploy(self, nature: Nature) -> Outcome | None:
        self.number += 1
        self.world.natures[self.number] = nature
        self.world.passed.clear()
        try:
            return self.world.deploy(self.number, settings=SETTINGS)
        except Died:
            return None
        finally:
            self.world.die_at = None
            self.world.on_wait = None
            self.world.request = None
            self.world.journal_is_full = False

    @rule()
    def deploy_a_good_release(self) -> None:
        """A good release is always blessed."""
        assert self._deploy(Nature.GOOD) is Outcome.DONE
        self.serving = self.number

    @precondition(lambda self: self.serving is not None)
    @rule(nature=st.sampled_from(BAD))
    def deploy_a_bad_release(self, nature: Nature) -> None:
        """A bad one never keeps the traffic."""
        assert self._deploy(nature) in {Outcome.REJECTED, Outcome.ROLLED_BACK}

    @precondition(lambda self: self.serving is not None)
    @rule(nature=st.sampled_from(Nature), at=st.integers(1, 60), reboots=st.booleans())
    def die_and_recover(self, nature: Nature, at: int, reboots: bool) -> None:  # noqa: FBT001  hypothesis calls it
        """A death anywhere, a restart of the machine or not, then the next command."""
        self.world.die_at = at
        self._deploy(nature)
        if reboots:
            self.world.reboot()
        self.world.recover()
        if self.number in read_ledger(self.world.entries).blessed:
            self.serving = self.number

    @precondition(lambda self: self.serving is not None)
    @rule()
    def abort_while_waiting(self) -> None:
        """An abort is safe whenever it comes."""
        self.world.on_wait = ask_abort
        outcome = self._deploy(Nature.GOOD)
        assert outcome in {Outcome.DONE, Outcome.REJECTED, Outcome.ROLLED_BACK}
        if outcome is Outcome.DONE:
            self.serving = self.number

    @invariant()
    def the_right_release_serves(self) -> None:
        """The last blessed release has the traffic, runs, and starts at boot; nothing else does."""
        if self.serving is None:
            return
        route = self.world.route
        assert route is not None
        process = self.world.slots[route]
        assert process is not None
        assert process.release == self.serving
        assert WorldRunner(self.world).observe(route).status is SlotStatus.RUNNING
        assert not self.world.runs(route.other)
        assert self.world.boot == {route}

    @invariant()
    def nothing_stays_open(self) -> None:
        assert read_ledger(self.world.entries).unsettled is None


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
