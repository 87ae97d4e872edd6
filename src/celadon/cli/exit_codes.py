"""Exit codes: one table, read by the program and by its documentation."""

from collections.abc import Mapping
from types import MappingProxyType

from celadon.model.plan import OperationKind, Outcome

EXIT_CODES: Mapping[int, str] = MappingProxyType(
    {
        0: "Done: what was asked for is in force. Also a `rollback` that a person asked for.",
        1: "Unexpected: a bug. One sentence, and a file with the trace.",
        2: "Usage or celadon.toml is wrong. Nothing was changed.",
        10: "Rejected: the candidate was not good enough, traffic never moved.",
        11: "Rolled back: traffic had moved and is back on the old release. Never 0 for a deploy.",
        12: "Busy: another operation holds the lock; the message says who and since when.",
        13: "Refused by the checks before the first effect. Nothing was touched.",
        14: "Interrupted and recovered: an operation had died; what it left is put right. Run your command again.",
        20: "Needs a person; the message says which command. A deploy that is not blessed ends so too.",
        130: "Detached by Ctrl-C: the operation goes on by itself.",
    }
)

RECOVERED = 14

_OF_OUTCOME: Mapping[Outcome, int] = MappingProxyType(
    {
        Outcome.DONE: 0,
        Outcome.REJECTED: 10,
        Outcome.ROLLED_BACK: 11,
        Outcome.UNBLESSED: 20,
        Outcome.RECOVERED: RECOVERED,
        Outcome.BUSY: 12,
        Outcome.REFUSED: 13,
        Outcome.NEEDS_PERSON: 20,
        Outcome.BUG: 1,
    }
)


def exit_code_of(outcome: Outcome, kind: OperationKind) -> int:
    """A person's own `rollback` that put the old release back did what it was asked: 0."""
    if kind is OperationKind.ROLLBACK and outcome in {Outcome.ROLLED_BACK, Outcome.DONE}:
        return 0
    return _OF_OUTCOME[outcome]


def render_exit_codes() -> str:
    """Markdown."""
    rows = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(["# Exit codes", "", "| code | meaning |", "|---|---|", *rows]) + "\n"
