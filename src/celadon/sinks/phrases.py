"""Words that more than one line needs: numbers with their things, releases, routes, connections."""

import time
from collections.abc import Sequence

from msgspec.structs import replace

from celadon.events import LingeringBegan, SlotStopped
from celadon.host.text import escape_controls
from celadon.model.connections import KindCounts
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.report import Ended, Lingered, LingeringReport
from celadon.model.verdict import FailingRoute

_WEIGHT_HIGH, _WEIGHT_LOW = 10_000, 0.01


def label(release: ReleaseNumber | None) -> str:
    return f"r{release}" if release is not None else "?"


def pluralise(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def name_way(through_proxy: bool) -> str:  # noqa: FBT001
    return " through the proxy" if through_proxy else ""


def describe_weight(evidence: float) -> str:
    """An e-value. Far above what anything asks for, and far below, its digits say nothing."""
    if evidence > _WEIGHT_HIGH:
        return f"over {_WEIGHT_HIGH:g}"
    return f"{evidence:.3g}" if evidence >= _WEIGHT_LOW else f"under {_WEIGHT_LOW:g}"


def describe_routes(routes: Sequence[FailingRoute]) -> str:
    """On one line; what visitors wrote cannot move a cursor."""
    return ", ".join(f"{escape_controls(each.route)} ({each.failed_count})" for each in routes)


def describe_kinds(kinds: KindCounts | None) -> str:
    """In brackets, with a space before; nothing where there are none."""
    if kinds is None or not kinds.total_count:
        return ""
    named = [
        pluralise(kinds.requests_count, "request") if kinds.requests_count else "",
        f"{kinds.idle_count} idle" if kinds.idle_count else "",
        pluralise(kinds.streams_count, "stream") if kinds.streams_count else "",
    ]
    return f" ({', '.join(filter(None, named))})"


def describe_stop(event: SlotStopped | Ended) -> str:
    """What was open and of which kind; streams that the app closes on its signal are cut only by SIGKILL."""
    how, signalled = (", by SIGKILL", 0) if event.killed else ("", event.signalled_count)
    kinds = event.left
    if kinds is not None and signalled:
        kinds = replace(kinds, streams_count=kinds.streams_count - signalled)
    closed = f"; {pluralise(signalled, 'stream')} left to the app's own closing" if signalled else ""
    cut = f"{pluralise(event.cut_count - signalled, 'connection')} cut{describe_kinds(kinds)}"
    return f"{event.slot} stopped after {event.duration_s:.2f} s{how}; {cut}{closed}"


def describe_lingering(found: LingeringReport) -> str:
    """How many, whose, until when."""
    streams = pluralise(found.streams_count, "stream")
    return f"{found.slot} still holds {streams} of {label(found.release)} until {describe_instant(found.until_at)}"


def describe_lingered(event: LingeringBegan | Lingered) -> str:
    count = event.streams_count if isinstance(event, Lingered) else event.left.streams_count
    streams = pluralise(count, "stream")
    return f"{label(event.release)} in {event.slot} lives on for {streams}, for {describe_span(event.limit_s)} at most"


def describe_instant(at: float) -> str:
    """The hour, with its day where that is not today."""
    then, now = time.localtime(at), time.localtime()
    is_today = (then.tm_year, then.tm_yday) == (now.tm_year, now.tm_yday)
    return time.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M", then)


def describe_span(seconds: float) -> str:
    """As `1 h 05 min`, `12 min`, `40 s`."""
    minutes = int(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def describe_traffic(route: Slot | None, release: ReleaseNumber | None) -> str:
    if route is None:
        return "no slot has traffic"
    return f"{route}" + (f", {label(release)}" if release is not None else "")
