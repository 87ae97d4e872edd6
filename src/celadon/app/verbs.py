"""What the verbs of the command line do, without wording."""

import os
import pwd
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from celadon.app.follow import Follower
from celadon.app.inforce import read_in_force
from celadon.app.order import Handover, Order, new_operation_id
from celadon.app.spawn import spawn_operation, unit_of
from celadon.contracts.sink import Sink
from celadon.host.control import ask
from celadon.host.layout import Layout
from celadon.host.lock import AppLock
from celadon.model.errors import BusyError, NeedsPersonError, RefusedError, UsageError
from celadon.model.names import AppName, OperationId, ReleaseNumber, parse_app_name
from celadon.model.plan import FORWARD, OperationKind, Outcome, Request
from celadon.model.release import Source, SourceKind
from celadon.model.settings import RunnerKind, Settings

_STARTED_BY_NOBODY = frozenset({RunnerKind.PROCESS, RunnerKind.PODMAN})
_RETIREMENT_LIMIT_S, _RETIREMENT_POLL_S = 600.0, 0.02
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")


def find_lead(named: str | None) -> str:
    """Who answers for this deploy: `--lead`, the CI's actor, the person behind sudo, the user."""
    chosen = named or next(
        (
            os.environ[name]
            for name in ("CELADON_LEAD", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "SUDO_USER", "LOGNAME", "USER")
            if os.environ.get(name)
        ),
        pwd.getpwuid(os.geteuid()).pw_name,
    )
    return "".join(character for character in chosen if character.isprintable())[:64]


def choose_source(settings: Settings, ref: str | None) -> Source:
    """No REF: the directory as it is. A REF that is a tar file: that. Anything else: a commit of the repository."""
    location = settings.source.path
    if ref is None:
        return Source(kind=SourceKind.DIRECTORY, location=location)
    if ref.endswith(_TAR_ENDINGS) and Path(ref).is_file():
        return Source(kind=SourceKind.TAR, location=str(Path(ref).absolute()))
    found = subprocess.run(
        ["git", "-C", location, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode != 0:
        raise UsageError(
            f"{ref!r} is neither a tar file nor a commit of the repository {location}",
            code="ref_unknown",
            next_command=f"git -C {location} log --oneline",
        )
    return Source(kind=SourceKind.GIT, location=location, ref=ref, commit=found.stdout.strip())


def order_of(
    layout: Layout,
    kind: OperationKind,
    *,
    lead: str,
    settings: Settings | None = None,
    source: Source | None = None,
    release: ReleaseNumber | None = None,
    handover: Handover | None = None,
    spares_streams: bool = False,
) -> Order:
    return Order(
        root=str(layout.root),
        app=layout.app,
        operation=new_operation_id(),
        kind=kind,
        lead=lead,
        settings=settings,
        source=source,
        release=release,
        handover=handover,
        spares_streams=spares_streams,
    )


def await_retirement(layout: Layout) -> None:
    """What ends a slot that lingered, unasked, is nobody's reason to be busy. Blocks for the grace of one stop."""
    until_s = time.monotonic() + _RETIREMENT_LIMIT_S
    while time.monotonic() < until_s:
        holder = AppLock(layout.lock).holder()
        if holder is None or holder.purpose != OperationKind.RETIRE:
            return
        time.sleep(_RETIREMENT_POLL_S)


def perform(order: Order, sinks: Sequence[Sink]) -> Outcome:
    """Spawn and follow. When the operation dies without a last word, recover it and say so: RECOVERED even when it had
    died before it touched anything, since what was asked for was not done."""
    layout = Layout(Path(order.root), order.app)
    await_retirement(layout)
    pid = spawn_operation(order)
    follower = Follower(layout, order.operation, sinks, pid=pid, unit=unit_of(order) if pid is None else "")
    outcome = follower.follow()
    if outcome is not None:
        return outcome
    if (layout.operations / f"{order.operation}.debug").exists():
        return Outcome.BUG
    if order.kind is OperationKind.RECOVER:
        raise NeedsPersonError("the recovery died too", code="recovery_died", next_command="celadon recover")
    busy = running_operation(layout)
    if busy is not None:
        # on a machine with systemd the recovery unit may have been quicker
        follow_running(layout, busy, sinks)
    recovered = perform(order_of(layout, OperationKind.RECOVER, lead=order.lead), sinks)
    return Outcome.RECOVERED if recovered is Outcome.DONE else recovered


def layouts_to_recover(root: Path) -> list[Layout]:
    """Apps whose last operation died, those where streams linger that nobody watches, and those whose processes nothing
    else starts at boot. An app under systemd with nothing open is systemd's to start, and one in Docker is Docker's:
    waiting for it here would hold up the proxy."""
    from celadon.app.keeping import is_kept
    from celadon.app.status import read_recorded
    from celadon.deploy.recovery import is_interrupted

    found = []
    for path in sorted((root / "apps").glob("*/settings.json")):
        layout = Layout(root, parse_app_name(path.parent.name))
        in_force = read_in_force(layout)
        plain = in_force is not None and in_force.web.runner in _STARTED_BY_NOBODY
        ledger = read_recorded(layout)
        is_left = ledger.lingering is not None and not is_kept(layout)
        if plain or ((is_interrupted(ledger) or is_left) and running_operation(layout) is None):
            found.append(layout)
    return found


def running_operation(layout: Layout) -> OperationId | None:
    holder = AppLock(layout.lock).holder()
    return holder.operation if holder is not None else None


def request_of_running(layout: Layout, request: Request, *, by: str) -> OperationId:
    """Hand `request` to the running operation and wake it. Raises RefusedError when none runs."""
    holder = AppLock(layout.lock).holder()
    if holder is None:
        raise RefusedError(
            f"no operation of {layout.app} is running", code="nothing_runs", next_command="celadon status"
        )
    ask(layout.request, request, by=by, pid=holder.pid)
    return holder.operation


def ask_deploy_back(layout: Layout, *, by: str) -> tuple[OperationId, OperationKind] | None:
    """Have a running deploy or restart go back; None when nothing runs. Raises BusyError for any other operation: to
    end a running rollback would bring back what it leads away from."""
    await_retirement(layout)
    holder = AppLock(layout.lock).holder()
    if holder is None:
        return None
    if holder.purpose not in {kind.value for kind in FORWARD}:
        raise BusyError(f"{holder.holder}'s {holder.purpose} is running", code="locked", next_command="celadon attach")
    ask(layout.request, Request.ABORT, by=by, pid=holder.pid)
    return holder.operation, OperationKind(holder.purpose)


def follow_running(layout: Layout, operation: OperationId, sinks: Sequence[Sink]) -> Outcome | None:
    return Follower(layout, operation, sinks, pid=None).follow()


def layout_of(root: Path, app: AppName) -> Layout:
    return Layout(root, app)
