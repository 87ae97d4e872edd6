"""Words for `celadon why`: one page, most important first."""

import textwrap
import time
from collections.abc import Iterable, Sequence
from typing import Final

from celadon.host.text import escape_controls
from celadon.model.names import render_release_label
from celadon.model.observed import WHOLE
from celadon.model.plan import OperationKind, Outcome
from celadon.model.report import Judged, Later, Moved, SlotSummary, Why
from celadon.model.verdict import Evidence, FailingRoute, Judgement
from celadon.sinks.phrases import describe_lingered, describe_stop, describe_weight
from celadon.sinks.plot import Curve, plot, trace_evidence, trace_failures
from celadon.sinks.wording import REPAIRS

WIDTH: Final = 79
_MARGIN: Final = 10

_OUTCOMES = {
    Outcome.DONE: "done",
    Outcome.REJECTED: "rejected, traffic never moved",
    Outcome.ROLLED_BACK: "rolled back",
    Outcome.UNBLESSED: "not blessed, the old slot was kept hot",
    Outcome.RECOVERED: "recovered",
    Outcome.BUSY: "not begun: another operation was running",
    Outcome.REFUSED: "refused before anything was touched",
    Outcome.NEEDS_PERSON: "left to a person",
    Outcome.BUG: "ended by a bug in celadon",
}

_Entry = tuple[str, str]

_LIMITS = ("max_error_rate", "max_p95", "max_p99")


def render_why(why: Why) -> str:
    sections = (
        _describe_head(why),
        _describe_verdict(why),
        _describe_rejection(why),
        _describe_numbers(why),
        _describe_curve(why),
        _describe_slots(why.slots),
        _describe_failing(why),
        _describe_then(why),
        _describe_now(why),
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _describe_head(why: Why) -> list[str]:
    release = f" of {render_release_label(why.release)}" if why.release is not None else ""
    slot = f" into {why.candidate}" if why.candidate is not None else ""
    head = f"{why.kind}{release}{slot} by {why.lead}, {_when(why.started_at)}"
    return [head, *_entries(("outcome", _describe_outcome(why)))]


def _describe_outcome(why: Why) -> str:
    if why.outcome is not None:
        return f"{_OUTCOMES[why.outcome]}, after {why.duration_s:.1f} s"
    step = f" in {why.step}" if why.step is not None else ""
    return f"under way{step}" if why.is_running else f"it died{step}"


def _describe_verdict(why: Why) -> list[str]:
    verdict, evidence = why.verdict, why.evidence
    lines = _entries(*(("before", f"{_describe_judged(hold)}: {hold.reason}") for hold in why.holds))
    if verdict is not None and evidence is not None:
        limit = ", which celadon.toml sets" if verdict.rule in _LIMITS else ""
        when = f"after {evidence.elapsed_s:.1f} of {evidence.window_s:g} s"
        lines += _entries(("verdict", f"{_describe_judged(verdict)}{limit}, {when}"), ("", verdict.reason))
    lines += _entries(*(("asked", f"{each.by} asked to {each.request} at {_clock(each.at)}") for each in why.asked))
    is_told = why.rejection is not None or why.asked or (verdict is not None and verdict.reason in why.reason)
    if why.reason and not is_told:
        lines += _entries(("reason", why.reason))
    return lines


def _describe_judged(judged: Judged) -> str:
    share = f"{judged.percent} % of the traffic: " if judged.percent < WHOLE else ""
    return f"{share}{judged.judgement} by {judged.rule}"


def _describe_rejection(why: Why) -> list[str]:
    found = why.rejection
    if found is None:
        return []
    lines = _entries(("failed", found.asked), ("", found.reason))
    if found.head:
        lines += _entries(("", f"it answered: {found.head}"))
    lines += _entries(("", found.hint))
    if found.log_tail:
        count = len(found.log_tail)
        lines += _entries(("", f"its last {count} lines:" if count > 1 else "its last line:"))
        lines += [f"{'':{_MARGIN}}| {escape_controls(line)}" for line in found.log_tail]
    return lines


def _describe_numbers(why: Why) -> list[str]:
    evidence = why.evidence
    if evidence is None:
        return []
    return _entries(
        ("requests", _describe_requests(evidence)),
        *(_describe_weighed(why, evidence) if evidence.error_evidence_asked else _describe_limit(why)),
        ("journeys", _count_failed(evidence.journeys_count, evidence.journeys_failed_count)),
        ("readiness", _count_failed(evidence.probes_count, evidence.probes_failed_count)),
        ("restarts", f"{evidence.restarts_count}"),
        ("old slot", _describe_control(why, evidence)),
        *_name_first("earlier", _describe_earlier(why)),
        *_name_first("warning", _list_warnings(why, evidence)),
    )


def _describe_requests(evidence: Evidence) -> str:
    told = _count_failed(evidence.requests_count, evidence.failed_count)
    count = evidence.client_errors_count
    return f"{told}; {count} were answered with 4xx, which is not judged" if count else told


def _describe_control(why: Why, evidence: Evidence) -> str:
    if why.live is None:
        return "there was none to compare with"
    return f"meanwhile {_count_failed(evidence.control_count, evidence.control_failed_count)}"


def _describe_earlier(why: Why) -> list[str]:
    """What the rule would have done to the old release, which nothing was wrong with."""
    usual = why.usual
    if usual is None:
        return []
    cut = ["only the newest part of the access log was read: it is long"] if usual.cut_short else []
    return [text for text in (usual.problem, *cut, usual.trial) if text]


def _list_warnings(why: Why, evidence: Evidence) -> list[str]:
    """A verdict's reason has them."""
    told = why.verdict.reason if why.verdict is not None else ""
    return [warning for warning in evidence.warnings if warning not in told]


def _describe_limit(why: Why) -> list[_Entry]:
    return [("limit", f"{why.max_error_rate:.1%} of the requests may fail")] if why.max_error_rate else []


def _describe_weighed(why: Why, evidence: Evidence) -> list[_Entry]:
    weights = (
        ("errors", evidence.error_evidence, evidence.error_evidence_asked),
        ("slowness", evidence.latency_evidence, evidence.latency_evidence_asked),
        ("control", evidence.control_evidence, evidence.control_evidence_asked),
    )
    units = f"{evidence.units_count}, {evidence.bad_units_count} bad (one client, one route, ten seconds: one unit)"
    entries = [("units", units), ("tolerated", _describe_tolerated(evidence))]
    if why.verdict is None or why.verdict.judgement is not Judgement.BREACH:
        entries.append(("shown", f"fewer than {evidence.bad_rate_below:.1%} fail, with 90 % certainty"))
    told = ", ".join(f"{name} {describe_weight(weight)} of {asked:g}" for name, weight, asked in weights)
    return [*entries, ("evidence", told)]


def _describe_tolerated(evidence: Evidence) -> str:
    tolerated, usual = evidence.tolerated_rate, evidence.baseline_rate
    if usual is None:
        return f"{tolerated:.2%} bad, the least; how often the old release failed was not known"
    if tolerated > 2 * usual:
        return f"{tolerated:.2%} bad, the least; the old release's own rate is at most {usual:.2%}"
    if tolerated < 2 * usual:
        return f"{tolerated:.2%} bad, the most where few came before; the old release's own rate is at most {usual:.2%}"
    return f"{tolerated:.2%} bad, twice the old release's own rate of at most {usual:.2%}"


def _describe_curve(why: Why) -> list[str]:
    evidence = why.evidence
    if evidence is None or not why.curve:
        return []
    legend, curve = _pick_curve(why, evidence)
    rows = plot(curve, span_s=evidence.window_s, width=WIDTH - _MARGIN)
    return [*_entries(("curve", legend)), *(f"{'':{_MARGIN}}{row}".rstrip() for row in rows)]


def _pick_curve(why: Why, evidence: Evidence) -> tuple[str, Curve]:
    """The one that the verdict is of."""
    by_limit = why.verdict is not None and why.verdict.rule == "max_error_rate"
    if evidence.error_evidence_asked and not by_limit:
        return "of the evidence that a rollback asks for, on a log scale", trace_evidence(why.curve, asked=evidence)
    return "of the share of failed requests", trace_failures(why.curve, max_error_rate=why.max_error_rate or 1.0)


def _describe_slots(slots: Sequence[SlotSummary]) -> list[str]:
    return _entries(*((slot.slot, _describe_slot(slot)) for slot in slots))


def _describe_slot(slot: SlotSummary) -> str:
    told = []
    if slot.requests_count:
        told.append(f"{slot.failed_count / slot.requests_count:.1%} of {slot.requests_count} failed")
    if slot.p50_ms is not None and slot.p95_ms is not None and slot.p95_highest_ms is not None:
        told.append(f"p50 {slot.p50_ms:.0f}, p95 {slot.p95_ms:.0f}, at worst {slot.p95_highest_ms:.0f} ms")
    if slot.probe_p95_ms is not None:
        told.append(f"our probes {slot.probe_p95_ms:.0f} ms")
    release = f"{render_release_label(slot.release)}: " if slot.release is not None else ""
    return release + (", ".join(told) if slot.requests_count else ", ".join(["no visitors", *told]))


def _describe_failing(why: Why) -> list[str]:
    """Routes of visitors, then journeys."""
    routes = why.evidence.failing_routes if why.evidence is not None else ()
    told = [_describe_route(route) for route in routes]
    told += [f"journey {each.journey} on {each.slot}: {each.reason}" for each in why.journeys]
    return _entries(*_name_first("failing", told))


def _describe_route(route: FailingRoute) -> str:
    sample = f", first: {route.sample}" if route.sample and route.sample != route.route else ""
    named = f" (request {route.sample_id})" if route.sample_id else ""
    return f"{route.failed_count} x {route.route}{sample}{named}"


def _describe_then(why: Why) -> list[str]:
    told = _tell(why)
    if why.kept_at and why.is_newest:
        told.append(f"the candidate is kept for inspection: {why.kept_at}")
    for later in why.later:
        told += _describe_later(later)
    return _entries(*_name_first("then", told))


def _tell(told_of: Why | Later) -> list[str]:
    told = [(each.at, _describe_move(each)) for each in told_of.moves]
    told += [(each.at, describe_stop(each)) for each in told_of.stops]
    told += [(each.at, describe_lingered(each)) for each in told_of.lingered]
    return [f"{_clock(at)}  {text}" for at, text in sorted(told, key=lambda each: each[0])]


def _describe_move(moved: Moved) -> str:
    share = f"{moved.percent} % of the traffic" if moved.percent < WHOLE else "traffic"
    label = render_release_label(moved.release)
    return f"{share} goes to {moved.slot}, {label}: seen after {moved.seen_ms:.1f} ms"


def _describe_later(later: Later) -> list[str]:
    outcome = _OUTCOMES[later.outcome] if later.outcome is not None else "not ended"
    found = [f"  the deploy was found dead in {later.found_step}"] if later.found_step is not None else []
    return [
        f"{_when(later.at)}  {later.kind} by {later.lead}: {outcome}",
        *found,
        *(f"  {REPAIRS.get(what, what)}" for what in later.repairs),
        *(f"  {line}" for line in _tell(later)),
        *([f"  {later.reason}"] if later.reason else []),
    ]


def _describe_now(why: Why) -> list[str]:
    traffic = f"goes to {why.traffic} now" if why.traffic is not None else "no slot has traffic now"
    return _entries(("traffic", traffic), *_name_first("next", _advise(why)))


def _settles(later: Later) -> bool:
    """The end of streams decides nothing about the deploy."""
    return later.outcome in _SETTLED and later.kind is not OperationKind.RETIRE


def _advise(why: Why) -> list[str]:
    """What to do in this judgement, if anything is left to do."""
    if why.is_running:
        return ["celadon attach"]
    if not why.is_newest or any(_settles(later) for later in why.later):
        return []
    match why.outcome:
        case None:
            return ["celadon recover"]
        case Outcome.UNBLESSED:
            return _advise_unblessed(why)
        case Outcome.ROLLED_BACK if why.verdict is None:
            return ["celadon deploy  # when it is mended"]
        case Outcome.ROLLED_BACK:
            logs = why.next_command.partition("and: ")[2] if why.next_command else ""
            logs = logs or f"celadon logs --slot {why.candidate}"
            return [logs, "mend what you find there, then: celadon deploy"]
        case _:
            return [why.next_command] if why.next_command else []


_SETTLED = (Outcome.DONE, Outcome.ROLLED_BACK, Outcome.RECOVERED)


def _advise_unblessed(why: Why) -> list[str]:
    judgement = why.verdict.judgement if why.verdict is not None else None
    look = {
        Judgement.AMBIENT: ["look at what both slots need (database, disk, network): going back would not mend it"],
        Judgement.UNDECIDED: ["look for yourself: nothing was shown either way"],
    }
    return [
        *(look.get(judgement, []) if judgement is not None else []),
        "celadon finalize  # keeps the new release",
        "celadon rollback  # goes back to the old one, which is still hot",
    ]


def _count_failed(count: int, failed_count: int) -> str:
    return f"{failed_count} of {count} failed ({failed_count / count:.1%})" if count else "none"


def _entries(*entries: _Entry) -> list[str]:
    """What is longer than a line goes on below itself; what has no text is left out."""
    lines = []
    for name, text in entries:
        shown = escape_controls(text)
        rows = _wrap(shown, width=WIDTH - _MARGIN)
        lines += [f"{name if not index else '':{_MARGIN}}{row}".rstrip() for index, row in enumerate(rows)]
    return lines


def _name_first(name: str, texts: Iterable[str]) -> list[_Entry]:
    return [(name if not index else "", text) for index, text in enumerate(texts)]


def _wrap(text: str, *, width: int) -> list[str]:
    """At spaces only: a path or a command stays whole."""
    if len(text) <= width:
        return [text] if text else []
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
