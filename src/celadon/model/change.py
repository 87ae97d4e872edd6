"""One change of what a proxy is told: the managed files and the route, with who wanted it and why."""

from msgspec import Struct, field

from celadon.model.names import OperationId


class Change(Struct, frozen=True, kw_only=True):
    """`files` are whole contents by absolute path, as celadon wrote them; `route` is `blue r12`, or
    `blue r12, green r13 5%`. `release` is a label, empty where none is meant. `at` is wall-clock seconds."""

    id: str
    at: float
    subject: str
    lead: str
    operation: OperationId
    reason: str
    route: str
    release: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


class Recorded(Struct, frozen=True, kw_only=True):
    """A change as the repository tells it."""

    commit: str
    at: float
    subject: str
    lead: str
    operation: str
    release: str
    reason: str
