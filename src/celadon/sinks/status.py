"""Words for `celadon status`."""

import time

from celadon.model.observed import SlotStatus, SlotView
from celadon.model.report import SlotReport, Status, WorkerReport

_MIB = 1024 * 1024


def render_status(status: Status) -> str:
    """Several lines, the route first."""
    lines = [f"{status.app}: {_describe_route(status)}"]
    lines += [_describe_slot(report, live=report.view.slot is status.route.slot) for report in status.slots]
    lines += [_describe_worker(report) for report in status.workers]
    if status.running_operation is not None:
        minutes = (time.time() - (status.running_since or time.time())) / 60
        step = f", in {status.running_step}" if status.running_step else ""
        lines.append(f"  {status.running_purpose} is running for {minutes:.1f} min{step}; follow: celadon attach")
    if status.interrupted:
        lines.append("  an operation died here; next: celadon recover")
    elif status.open_release is not None:
        lines.append(f"  r{status.open_release} is not blessed; next: celadon finalize, or celadon rollback")
    return "\n".join(lines)


def _describe_route(status: Status) -> str:
    if status.route.slot is None:
        return "no slot has traffic yet" if not status.deployed else "the proxy has no route"
    how = "seen through the proxy" if status.route.seen else f"by the pointer only: {status.route.detail}"
    split = status.route.split
    share = f", {split.percent} % of it to {split.slot}" if split is not None else ""
    off = f"; {status.route.disagreement}" if status.route.disagreement else ""
    return f"traffic goes to {status.route.slot}{share} ({how}){off}"


def _describe_worker(report: WorkerReport) -> str:
    release = f"r{report.view.release}" if report.view.release is not None else "-"
    name = f"{report.view.slot.value:5} {'work':4} {release:>5} {report.view.status.value:7} {report.process}"
    return "  ".join([f"  {name}", *_describe_process(report.view)])


def _describe_slot(report: SlotReport, *, live: bool) -> str:
    view = report.view
    release = f"r{view.release}" if view.release is not None else "-"
    word = {True: "live", False: "hot" if view.status is SlotStatus.RUNNING else "idle"}[live]
    parts = [f"  {view.slot.value:5} {word:4} {release:>5} {view.status.value:7} {report.address}"]
    connections = [f"{report.connections_count} connections"] if view.status is SlotStatus.RUNNING else []
    return "  ".join([*parts, *_describe_process(view, *connections)])


def _describe_process(view: SlotView, *beside: str) -> list[str]:
    """A timer runs without a process."""
    parts = []
    if view.status is SlotStatus.RUNNING:
        parts += [f"pid {view.pids[0]}, {view.rss_bytes / _MIB:.0f} MiB"] if view.pids else []
        parts += beside
    if view.restarts_count:
        parts.append(f"{view.restarts_count} restarts")
    if view.status is SlotStatus.EXITED:
        parts.append(view.exit_reason or f"exit code {view.exit_code}")
    return parts
