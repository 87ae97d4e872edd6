"""Words for `celadon status`."""

import time

from celadon.model.observed import SlotStatus, SlotView
from celadon.model.report import LingeringReport, SlotReport, Status
from celadon.sinks.phrases import describe_lingering, describe_span

_MIB = 1024 * 1024


def render_status(status: Status) -> str:
    """Several lines, the route first."""
    lines = [f"{status.app}: {_describe_route(status)}"]
    for report in status.slots:
        lines.append(_describe_slot(report, _choose_word(report, status)))
        lines += [_describe_process(name, view) for name, view in report.processes.items()]
    if status.lingering is not None:
        lines.append(f"  {_describe_lingering(status.lingering)}")
    if status.running_operation is not None:
        minutes = (time.time() - (status.running_since or time.time())) / 60
        step = f", in {status.running_step}" if status.running_step else ""
        lines.append(f"  {status.running_purpose} is running for {minutes:.1f} min{step}; follow: celadon attach")
    if status.interrupted:
        lines.append("  an operation died here; next: celadon recover")
    elif status.open_release is not None:
        lines.append(f"  r{status.open_release} is not blessed; next: celadon finalize, or celadon rollback")
    return "\n".join(lines)


def _describe_lingering(found: LingeringReport) -> str:
    nobody = "" if found.is_kept else "; nobody watches it; next: celadon recover"
    return f"{describe_lingering(found)} ({describe_span(found.left_s)} left){nobody}"


def _describe_route(status: Status) -> str:
    if status.route.slot is None:
        return "no slot has traffic yet" if not status.deployed else "the proxy has no route"
    how = "seen through the proxy" if status.route.seen else f"by the pointer only: {status.route.detail}"
    split = status.route.split
    share = f", {split.percent} % of it to {split.slot}" if split is not None else ""
    off = f"; {status.route.disagreement}" if status.route.disagreement else ""
    return f"traffic goes to {status.route.slot}{share} ({how}){off}"


def _choose_word(report: SlotReport, status: Status) -> str:
    slot = report.view.slot
    if slot is status.route.slot:
        return "live"
    if status.lingering is not None and status.lingering.slot is slot:
        return "lingers"
    return "hot" if report.view.status is SlotStatus.RUNNING else "idle"


def _describe_slot(report: SlotReport, word: str) -> str:
    view = report.view
    parts = [f"  {view.slot.value:5} {word:7} {_label(view):>5} {view.status.value:7} {report.address}"]
    connections = [f"{report.connections_count} connections"] if view.status is SlotStatus.RUNNING else []
    return "  ".join([*parts, *_describe_running(view), *connections, *_describe_trouble(view)])


def _describe_process(name: str, view: SlotView) -> str:
    head = f"    {name:8} {_label(view):>5} {view.status.value:7}"
    return "  ".join([head, *_describe_running(view), *_describe_trouble(view)])


def _label(view: SlotView) -> str:
    return f"r{view.release}" if view.release is not None else "-"


def _describe_running(view: SlotView) -> list[str]:
    """A timer runs without a process."""
    return [f"pid {view.pids[0]}, {view.rss_bytes / _MIB:.0f} MiB"] if view.pids else []


def _describe_trouble(view: SlotView) -> list[str]:
    again = [f"{view.restarts_count} restarts"] if view.restarts_count else []
    ended = [view.exit_reason or f"exit code {view.exit_code}"] if view.status is SlotStatus.EXITED else []
    return again + ended
