"""What the journal says, folded: the last operation, who was blessed, what is still open.

A memory, third in rank: whoever acts on it looks at the router and the processes first.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from celadon.deploy.states import RETREATS
from celadon.events import (
    Blessed,
    CandidateStarting,
    Entry,
    LingeringBegan,
    OperationEnded,
    OperationStarted,
    ReleaseMade,
    SiteEjected,
    SlotStopped,
    Step,
    StepStarted,
    SwitchIntended,
    SwitchSeen,
)
from celadon.model.lingering import Lingering
from celadon.model.names import OperationId, ReleaseNumber, Slot
from celadon.model.plan import FORWARD, OperationKind, Outcome


@dataclass(slots=True, kw_only=True)
class Account:
    """One operation as its events tell it. `outcome` None: it never ended."""

    operation: OperationId
    kind: OperationKind
    lead: str
    pid: int
    candidate: Slot | None
    live: Slot | None
    live_release: ReleaseNumber | None
    release: ReleaseNumber | None
    step: Step | None = None
    switch_intended: bool = False
    blessed: bool = False
    outcome: Outcome | None = None
    reason: str = ""

    @property
    def returning(self) -> bool:
        return self.step is Step.RETURN

    @property
    def was_cut_short(self) -> bool:
        """It died, or the way it was on failed: back (a machine that shuts down ends the old slot before the
        operation), or forward from the bless (the disk was full)."""
        decided = self.blessed or self.step in RETREATS
        return self.outcome is None or (self.outcome is Outcome.NEEDS_PERSON and decided)


@dataclass(slots=True, kw_only=True)
class Ledger:
    """`unsettled` is the deploy whose old slot is still hot: it was cut short, or ended without a bless. `blessed` are
    releases in the order they were blessed last, newest at the end. `lingering` was left to its streams, and has not
    been stopped or taken up again since."""

    last: Account | None = None
    unsettled: Account | None = None
    blessed: list[ReleaseNumber] = field(default_factory=list)
    highest_release: int = 0
    lingering: Lingering | None = None

    @property
    def interrupted(self) -> Account | None:
        return self.unsettled if self.unsettled is not None and self.unsettled.was_cut_short else None

    @property
    def unblessed(self) -> Account | None:
        return self.unsettled if self.unsettled is not None and not self.unsettled.was_cut_short else None


_OPENING = FORWARD | {OperationKind.ROLLBACK}
_OPEN = (None, Outcome.UNBLESSED, Outcome.NEEDS_PERSON, Outcome.BUG)
_SETTLERS = (Outcome.DONE, Outcome.ROLLED_BACK, Outcome.RECOVERED)


def read_ledger(entries: Iterable[Entry]) -> Ledger:
    """Fold entries, oldest first."""
    ledger = Ledger()
    accounts: dict[OperationId, Account] = {}
    for entry in entries:
        body = entry.body
        ledger.lingering = _follow_lingering(ledger.lingering, entry)
        if isinstance(body, OperationStarted):
            account = _open_account(entry.operation, body)
            accounts[entry.operation] = account
            ledger.last = account
            if account.candidate is not None and account.kind in _OPENING:
                ledger.unsettled = account
        elif entry.operation in accounts:
            _post(ledger, accounts[entry.operation], body)
    return ledger


def _follow_lingering(now: Lingering | None, entry: Entry) -> Lingering | None:
    match entry.body:
        case LingeringBegan(slot=slot, release=release, since_s=since_s, limit_s=limit_s):
            until_at = entry.at + limit_s
            return Lingering(slot=slot, release=release, since_s=since_s, limit_s=limit_s, until_at=until_at)
        case (
            SlotStopped(slot=slot)
            | CandidateStarting(slot=slot)
            | SwitchSeen(to_slot=slot)
            | OperationEnded(route=slot)
        ):
            return None if now is not None and now.slot is slot else now
        case SiteEjected():
            return None
        case _:
            return now


def _open_account(operation: OperationId, body: OperationStarted) -> Account:
    return Account(
        operation=operation,
        kind=body.kind,
        lead=body.lead,
        pid=body.pid,
        candidate=body.candidate,
        live=body.live,
        live_release=body.live_release,
        release=body.release,
    )


def _post(ledger: Ledger, account: Account, body: object) -> None:
    match body:
        case StepStarted(step=step):
            account.step = step
        case CandidateStarting(release=release) | ReleaseMade(release=release):
            account.release = release
            ledger.highest_release = max(ledger.highest_release, release)
        case SwitchIntended():
            account.switch_intended = True
        case Blessed(release=release):
            account.blessed = True
            ledger.highest_release = max(ledger.highest_release, release)
            if ledger.unsettled is not None and ledger.unsettled.release == release:
                ledger.unsettled.blessed = True
            ledger.blessed = [*(number for number in ledger.blessed if number != release), release]
        case OperationEnded():
            _close(ledger, account, body)
        case _:
            pass


def _close(ledger: Ledger, account: Account, body: OperationEnded) -> None:
    account.outcome, account.reason = body.outcome, body.reason
    if ledger.unsettled is account:
        ledger.unsettled = account if account.outcome in _OPEN else None
    elif body.outcome in _SETTLERS:
        ledger.unsettled = None
