"""An operation in a process of its own, which outlives the terminal, the SSH session and Ctrl-C."""

import os
import signal
import sys
from pathlib import Path

from celadon.app.operation import run_operation
from celadon.app.order import Order, write_order
from celadon.host.boot import RECOVERY_UNIT, ensure_recovery_unit
from celadon.host.control import ask
from celadon.host.layout import Layout
from celadon.host.transient import start_transient, systemd_runs
from celadon.model.errors import UsageError
from celadon.model.plan import FORWARD, Outcome, Request

_EXIT_STATUSES = {outcome: index for index, outcome in enumerate(Outcome)}


def unit_of(order: Order) -> str:
    return f"celadon-{order.app}-{order.operation}"


def spawn_operation(order: Order) -> int | None:
    """Start `order`. Returns the child's pid, or None when systemd runs it as a transient unit, `unit_of`.

    A fork costs 2 ms and needs no second interpreter; but where systemd is PID 1 a logout may end everything in
    the session's scope, so a deploy, which lasts minutes, becomes a unit. A unit that is killed starts
    the recovery unit, terminal or not; one that exits by itself, with whatever code, has said its last word. A
    rollback lasts milliseconds.
    """
    layout = Layout(Path(order.root), order.app)
    layout.operations.mkdir(parents=True, exist_ok=True)
    if order.kind in FORWARD and systemd_runs():
        _spawn_unit(layout, order)
        return None
    return _fork(layout, order)


def _spawn_unit(layout: Layout, order: Order) -> None:
    path = layout.operations / f"{order.operation}.order"
    write_order(order, path)
    ensure_recovery_unit(user_manager=os.geteuid() != 0, root=layout.root)
    done = start_transient(
        unit_of(order),
        [sys.executable, "-m", "celadon.cli.operate", str(path)],
        log=layout.operations / f"{order.operation}.log",
        properties=("SuccessExitStatus=" + " ".join(map(str, range(256))), f"OnFailure={RECOVERY_UNIT}"),
    )
    if not done.ok:
        raise UsageError(
            f"systemd-run refused the operation: {done.output}", code="spawn_failed", next_command="systemctl status"
        )


def _fork(layout: Layout, order: Order) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = _EXIT_STATUSES[Outcome.BUG]
    try:
        _detach(layout, order)
        status = _EXIT_STATUSES[run_here(order)]
    finally:
        os._exit(status)


def run_here(order: Order) -> Outcome:
    """Run in this process, deaf to the terminal; SIGTERM asks for an abort."""
    layout = Layout(Path(order.root), order.app)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: ask(layout.request, Request.ABORT, by="SIGTERM"))
    return run_operation(order)


def _detach(layout: Layout, order: Order) -> None:
    os.setsid()
    log = os.open(layout.operations / f"{order.operation}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
