"""The states of a deploy and the arrows between them, as data.

    prepare ── verify ── switch ── observe ── finalize ── done
       │         │         │  │       │  └──────────────── unblessed
       └── reject ─────────┘  └─ return ─ rolled back

Before the switch takes effect every failure leads to `reject`: traffic never moved. From the moment it
may have, every failure leads to `return`: the route goes back first, the candidate stops after. After the
bless nothing leads back. `tests/unit/test_states.py` walks the whole graph.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from celadon.events import Step
from celadon.model.plan import Outcome


class Result(StrEnum):
    """How a step ended. UNSEEN: the route may have moved but was not seen to. RECALLED: a person asked to go back when
    a share of the traffic had moved. BREACH and UNDECIDED are what a window may end with besides OK."""

    OK = "ok"
    FAILED = "failed"
    ABORTED = "aborted"
    UNSEEN = "unseen"
    RECALLED = "recalled"
    BREACH = "breach"
    UNDECIDED = "undecided"


ARROWS: Mapping[tuple[Step, Result], Step | Outcome] = MappingProxyType(
    {
        (Step.PREPARE, Result.OK): Step.VERIFY,
        (Step.PREPARE, Result.FAILED): Step.REJECT,
        (Step.PREPARE, Result.ABORTED): Step.REJECT,
        (Step.VERIFY, Result.OK): Step.SWITCH,
        (Step.VERIFY, Result.FAILED): Step.REJECT,
        (Step.VERIFY, Result.ABORTED): Step.REJECT,
        (Step.SWITCH, Result.OK): Step.OBSERVE,
        (Step.SWITCH, Result.FAILED): Step.REJECT,
        (Step.SWITCH, Result.ABORTED): Step.REJECT,
        (Step.SWITCH, Result.UNSEEN): Step.RETURN,
        (Step.SWITCH, Result.RECALLED): Step.RETURN,
        (Step.SWITCH, Result.BREACH): Step.RETURN,
        (Step.OBSERVE, Result.OK): Step.FINALIZE,
        (Step.OBSERVE, Result.FAILED): Step.RETURN,
        (Step.OBSERVE, Result.BREACH): Step.RETURN,
        (Step.OBSERVE, Result.ABORTED): Step.RETURN,
        (Step.OBSERVE, Result.UNDECIDED): Outcome.UNBLESSED,
        (Step.FINALIZE, Result.OK): Outcome.DONE,
        (Step.FINALIZE, Result.FAILED): Outcome.NEEDS_PERSON,
        (Step.REJECT, Result.OK): Outcome.REJECTED,
        (Step.REJECT, Result.FAILED): Outcome.NEEDS_PERSON,
        (Step.RETURN, Result.OK): Outcome.ROLLED_BACK,
        (Step.RETURN, Result.FAILED): Outcome.NEEDS_PERSON,
    }
)

RETREATS = frozenset({Step.REJECT, Step.RETURN})
"""Steps that put things right. They go on when the journal cannot be written: traffic comes first."""
