"""What one operation is about to do, decided before its first effect."""

from enum import StrEnum

from msgspec import Struct

from celadon.model.names import AppName, OperationId, ReleaseNumber, Slot
from celadon.model.release import Source
from celadon.model.settings import Settings


class OperationKind(StrEnum):
    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    FINALIZE = "finalize"
    RECOVER = "recover"
    ADOPT = "adopt"
    EJECT = "eject"
    RESTART = "restart"
    RETIRE = "retire"


FORWARD = frozenset({OperationKind.DEPLOY, OperationKind.RESTART})
"""Those that nobody is in a hurry for: what the candidate is measured against is looked at before it starts, and it may
be given up for the old slot."""


class Plan(Struct, frozen=True, kw_only=True):
    """`source` is set for a deploy that makes a release, `release` for one of a kept release, which a restart has live
    already. `live` is None on the first deploy. `settings` are the candidate's."""

    operation: OperationId
    kind: OperationKind
    app: AppName
    lead: str
    candidate: Slot
    live: Slot | None
    live_release: ReleaseNumber | None
    settings: Settings
    source: Source | None = None
    release: ReleaseNumber | None = None


class Outcome(StrEnum):
    """How an operation ended. UNBLESSED: the candidate is live, the old slot hot, a person decides."""

    DONE = "done"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    UNBLESSED = "unblessed"
    RECOVERED = "recovered"
    BUSY = "busy"
    REFUSED = "refused"
    NEEDS_PERSON = "needs_person"
    BUG = "bug"


class Request(StrEnum):
    """What a person asks of a running operation."""

    ABORT = "abort"
    FINALIZE = "finalize"
