"""Words for events: one line, or several, or none. Pure."""

from collections.abc import Sequence

from msgspec.structs import replace

from celadon.events import (
    AssetsGathered,
    BaselineGathered,
    Blessed,
    BuildStepEnded,
    BuildStepStarted,
    CandidateKept,
    CandidateReady,
    CandidateStarted,
    CandidateUnready,
    CheckFound,
    DependenciesReused,
    DrainCounted,
    Entry,
    Event,
    HookRan,
    InterruptionFound,
    JournalRebuilt,
    JourneyFailed,
    JourneyPassed,
    OperationEnded,
    OperationStarted,
    PostflightRan,
    ReadinessAsked,
    ReleaseChosen,
    ReleaseCommandRan,
    ReleaseCommandStarted,
    ReleaseCompared,
    ReleaseMade,
    ReleasesPruned,
    Repaired,
    RequestTaken,
    ServedAgain,
    ShareSeen,
    SiteAdopted,
    SiteEjected,
    SlotStopped,
    SourceLost,
    StandingDown,
    StepEnded,
    StepStarted,
    SwitchFailed,
    SwitchSeen,
    VerdictReached,
    WindowExtended,
    WindowOpened,
    WindowSampled,
    WorkerFailed,
    WorkerQuieted,
    WorkerStarted,
    WorkerStopped,
)
from celadon.host.text import escape_controls
from celadon.model.connections import KindCounts
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import WHOLE, FindingLevel
from celadon.model.plan import OperationKind, Outcome
from celadon.model.release import SourceKind
from celadon.model.report import Ended
from celadon.model.verdict import Evidence, FailingRoute, Judgement

_MIB = 1024 * 1024
_WEIGHT_HIGH, _WEIGHT_LOW = 10_000, 0.01
_ROUTES_SHOWN_COUNT = 3
REPAIRS = {
    "recovered_by_forward": "the release had been blessed: going forward",
    "recovered_by_return": "the route may have moved: going back to the old slot",
    "recovered_by_reject": "traffic had not moved: removing the candidate",
    "recovered_by_person": "the first release was not blessed and does not run",
    "live_slot_started": "the live slot was not running: started",
    "pointer_repaired": "the pointer follows what the proxy does",
    "share_ended": "a share of the traffic that no deploy was giving has ended",
    "workers_settled": "workers were not as they should be: started in the live slot, stopped in the other",
    "orphan_stopped": "a slot without traffic was left running: stopped",
}


def describe(entry: Entry) -> str | None:
    """None: not worth a line."""
    return describe_event(entry.body)


def describe_event(event: Event) -> str | None:  # noqa: C901, PLR0912, PLR0915  one case a kind
    match event:
        case OperationStarted():
            return _describe_start(event)
        case OperationEnded():
            return describe_end(event)
        case StepStarted(step=step):
            return f"{step}"
        case StepEnded(step=step, result=result, duration_s=duration_s, reason=reason):
            return None if result == "ok" else f"  {step} {result} after {duration_s:.1f} s: {reason}"
        case CheckFound(level=level, subject=subject, text=text, fix=fix):
            shown = fix.splitlines() if level is not FindingLevel.OK else []
            return "\n".join([f"  {level}: {subject}: {text}", *(f"      {line}" for line in shown)])
        case BuildStepStarted(command=command):
            return f"  $ {command}"
        case BuildStepEnded(exit_code=exit_code, output_tail=tail) if exit_code != 0 or tail:
            return "\n".join([*(f"    | {line}" for line in tail), f"  exited with {exit_code}"])
        case DependenciesReused(directory=directory, lock_file=lock_file, from_release=release):
            return f"  {directory} taken from r{release}: {lock_file} is the same"
        case ReleaseMade(release=release, files_count=files, bytes_count=size, duration_s=duration_s):
            return f"  r{release} made: {files} files, {size / _MIB:.1f} MiB, {duration_s:.2f} s"
        case ReleaseCompared():
            return _describe_compared(event)
        case ReleaseChosen(release=release):
            return f"  r{release} taken as it was built"
        case ReleaseCommandStarted(command=command):
            return f"  release: `{command}`"
        case ReleaseCommandRan(reason=reason, duration_s=duration_s, output_tail=tail):
            lines = [f"  release: {reason or 'done'} after {duration_s:.1f} s"]
            return "\n".join(lines + ([f"    | {line}" for line in tail] if reason else []))
        case CandidateStarted(slot=slot, release=release, pid=pid):
            return f"  r{release} started in {slot}" + (f", pid {pid}" if pid else "")
        case ReadinessAsked(ok=False, reason=reason, hint=hint):
            return f"  not ready yet: {reason}" + (f"\n    {hint}" if hint else "")
        case CandidateReady(slot=slot, probes_count=count, after_s=after_s):
            return f"  {slot} is ready after {after_s:.2f} s ({count} probes)"
        case CandidateUnready():
            return _describe_unready(event)
        case JourneyPassed(journey=journey, slot=slot, duration_ms=duration_ms, through_proxy=through_proxy):
            return f"  journey {journey} passed on {slot}{_by(through_proxy)} in {duration_ms:.0f} ms"
        case JourneyFailed():
            return _describe_failed_journey(event)
        case PostflightRan():
            return _describe_postflight(event)
        case HookRan(hook=hook, command=command, exit_code=exit_code, duration_s=duration_s, output_tail=tail):
            lines = [f"  {hook}: `{command}` exited with {exit_code} after {duration_s:.1f} s"]
            return "\n".join(lines + ([f"    | {line}" for line in tail] if exit_code else []))
        case AssetsGathered():
            return _describe_assets(event)
        case StandingDown(slot=slot, release=release):
            return f"  {_label(release)} in {slot} is stopped first: visitors get errors from here on"
        case ServedAgain(slot=slot, release=release, down_s=down_s):
            return f"  {_label(release)} in {slot} answers through the proxy: the site was down for {down_s:.2f} s"
        case SwitchSeen(to_slot=slot, to_release=release, seen_ms=seen_ms):
            return f"  traffic goes to {slot}, {_label(release)}: first seen {seen_ms:.1f} ms after the decision"
        case ShareSeen(to_slot=slot, to_release=release, percent=percent, seen_ms=seen_ms):
            return f"  {percent} % of the traffic goes to {slot}, {_label(release)}: in force after {seen_ms:.1f} ms"
        case SwitchFailed(to_slot=slot, effect=effect, reason=reason):
            return f"  the switch to {slot} was not seen (effect {effect}): {reason}"
        case BaselineGathered():
            return _describe_baseline(event)
        case WindowOpened(window_s=window_s, max_error_rate=rate, percent=percent):
            what = "watching" if percent == 100 else f"watching {percent} %"
            limit = "" if rate is None else f"; more than {rate:.1%} of 5xx brings the old release back"
            return f"  {what} for {window_s:g} s{limit}"
        case WindowSampled():
            return _describe_sample(event)
        case WindowExtended(window_s=window_s, reason=reason):
            return f"  not decided yet, watching until {window_s:g} s: {reason}"
        case SourceLost(lost=lost, stands_on=stands_on, reason=reason):
            return f"  {reason}: the {lost} is left, the verdict stands on {stands_on}"
        case VerdictReached():
            return _describe_verdict(event)
        case SiteAdopted(slot=slot, release=release, wheres=wheres, unit=unit):
            what = unit or "the running processes"
            return f"  {', '.join(wheres)} goes through the route now; {what} is {_label(release)} in {slot}"
        case SiteEjected(slot=slot, address=address, files=files):
            return f"  the site goes to {address} ({slot}) without celadon; edited: {', '.join(files) or 'nothing'}"
        case Blessed(slot=slot, release=release):
            return f"  {_label(release)} in {slot} is blessed"
        case WorkerStarted() | WorkerQuieted() | WorkerStopped() | WorkerFailed():
            return _describe_worker(event)
        case DrainCounted(slot=slot, connections_count=count, kinds=kinds, lingering_workers_count=workers):
            lingering = f", {workers} old proxy workers" if workers else ""
            open_ones = f"{_count(count, 'connection')} open{describe_kinds(kinds)}"
            return f"  {slot} drains: {open_ones}{lingering}" if count or workers else None
        case SlotStopped():
            return f"  {describe_stop(event)}"
        case CandidateKept(release=release, path=path):
            return f"  {_label(release)} is kept for inspection: {path}"
        case ReleasesPruned(releases=releases):
            return f"  removed {', '.join(map(_label, releases))}"
        case RequestTaken(request=request, by=by):
            return f"  {by} asked to {request}"
        case InterruptionFound(step=step, route=route, blue=blue, green=green):
            return (
                f"  an operation died in {step or 'its beginning'}; traffic goes to {route}; blue {blue}, green {green}"
            )
        case Repaired(what=what, detail=detail):
            return f"  {REPAIRS.get(what, what)}" + (f": {detail}" if detail else "")
        case JournalRebuilt(set_aside=set_aside, route=route, releases=releases):
            return (
                f"  the journal was damaged (kept as {set_aside}); router and disk say: traffic to {route}, "
                f"releases {', '.join(map(_label, releases))}"
            )
        case _:
            return None


def describe_end(event: OperationEnded) -> str:
    """What happened, where traffic goes now, and the next command."""
    lines = [f"{_OUTCOMES[event.outcome]} ({event.duration_s:.1f} s)" + (f": {event.reason}" if event.reason else "")]
    lines.append(f"Traffic: {describe_traffic(event.route, event.route_release)}")
    if event.down_s:
        lines.append(f"Down:    {event.down_s:.2f} s")
    if event.next_command:
        lines.append(f"Next:    {event.next_command}")
    return "\n".join(lines)


def describe_weight(evidence: float) -> str:
    """An e-value. Far above what anything asks for, and far below, its digits say nothing."""
    if evidence > _WEIGHT_HIGH:
        return f"over {_WEIGHT_HIGH:g}"
    return f"{evidence:.3g}" if evidence >= _WEIGHT_LOW else f"under {_WEIGHT_LOW:g}"


def describe_routes(routes: Sequence[FailingRoute]) -> str:
    """On one line; what visitors wrote cannot move a cursor."""
    return ", ".join(f"{escape_controls(each.route)} ({each.failed_count})" for each in routes)


def describe_stop(event: SlotStopped | Ended) -> str:
    """What was open and of which kind; streams that the app closes on its signal are cut only by SIGKILL."""
    how, signalled = (", by SIGKILL", 0) if event.killed else ("", event.signalled_count)
    kinds = event.left
    if kinds is not None and signalled:
        kinds = replace(kinds, streams_count=kinds.streams_count - signalled)
    closed = f"; {_count(signalled, 'stream')} left to the app's own closing" if signalled else ""
    cut = f"{_count(event.cut_count - signalled, 'connection')} cut{describe_kinds(kinds)}"
    return f"{event.slot} stopped after {event.duration_s:.2f} s{how}; {cut}{closed}"


def describe_kinds(kinds: KindCounts | None) -> str:
    """In brackets, with a space before; nothing where there are none."""
    if kinds is None or not kinds.total_count:
        return ""
    named = [
        _count(kinds.requests_count, "request") if kinds.requests_count else "",
        f"{kinds.idle_count} idle" if kinds.idle_count else "",
        _count(kinds.streams_count, "stream") if kinds.streams_count else "",
    ]
    return f" ({', '.join(filter(None, named))})"


def describe_traffic(route: Slot | None, release: ReleaseNumber | None) -> str:
    if route is None:
        return "no slot has traffic"
    return f"{route}" + (f", {_label(release)}" if release is not None else "")


_OUTCOMES = {
    Outcome.DONE: "Done",
    Outcome.REJECTED: "Rejected, traffic never moved",
    Outcome.ROLLED_BACK: "Rolled back, traffic is on the old release",
    Outcome.UNBLESSED: "Not blessed, the old slot stays hot",
    Outcome.RECOVERED: "Recovered what an interrupted operation left",
    Outcome.BUSY: "Busy, nothing was done",
    Outcome.REFUSED: "Refused before anything was touched",
    Outcome.NEEDS_PERSON: "This needs a person",
    Outcome.BUG: "A bug in celadon",
}


def _describe_assets(event: AssetsGathered) -> str:
    releases = _count(len(event.releases), "release")
    line = f"  assets of {releases} in {event.directory}: {_count(event.files_count, 'file')}, {event.added_count} new"
    if not event.differing_count:
        return line
    more = ", …" if event.differing_count > len(event.differing) else ""
    names = ", ".join(map(escape_controls, event.differing))
    return f"{line}\n    left to the app, for they are not the same in all: {names}{more}"


def _describe_start(event: OperationStarted) -> str:
    release = f" of {_label(event.release)}" if event.release is not None else ""
    match event.kind:
        case OperationKind.DEPLOY:
            live = f"{_label(event.live_release)} in {event.live}" if event.live else "nothing yet"
            return f"deploy{release}{_describe_env_only(event)} into {event.candidate} by {event.lead}; live: {live}"
        case OperationKind.RESTART:
            return f"restart of {_label(event.release)} from {event.live} into {event.candidate} by {event.lead}"
        case OperationKind.ADOPT | OperationKind.EJECT:
            return f"{event.kind} by {event.lead}"
        case OperationKind.ROLLBACK | OperationKind.FINALIZE | OperationKind.RECOVER:
            return f"{event.kind}{release} by {event.lead}"


def _describe_env_only(event: OperationStarted) -> str:
    if event.source is None or event.source.kind is not SourceKind.RELEASE:
        return ""
    return f", {event.source.location} with a new environment,"


def _describe_baseline(event: BaselineGathered) -> str:
    lines = [f"  warning: {event.problem}"] if event.problem else []
    if event.rate_bound is None:
        lines.append("  the live slot's usual traffic is not known yet")
    else:
        units, minutes = _count(event.units_count, "unit"), _count(event.minutes_count, "minute")
        took = "" if event.p95_ms is None else f", p95 {event.p95_ms:.1f} ms"
        failed = f"{event.bad_units_count} of {units} in {minutes} failed, usually less than {event.rate_bound:.2%}"
        lines.append(f"  the live slot before: {failed}{took}")
    if event.cut_short:
        lines.append("    only the newest part of the access log was read: it is long")
    if event.trial:
        lines.append(f"    {event.trial}")
    return "\n".join(lines)


def _describe_compared(event: ReleaseCompared) -> str:
    what = {
        "variables added": event.env_added,
        "variables changed": event.env_changed,
        "variables gone": event.env_removed,
        "settings changed": event.settings_changed,
    }
    told = [f"{how}: {', '.join(names)}" for how, names in what.items() if names]
    files = "other files" if event.files_differ else "the same files"
    return f"  beside {_label(event.live)}: {'; '.join([files, *told])}"


def _describe_unready(event: CandidateUnready) -> str:
    lines = [f"  {event.slot} is not ready: {event.probe}: {event.reason}"]
    if event.head:
        lines.append(f"    it answered: {event.head}")
    if event.hint:
        lines.append(f"    {event.hint}")
    if event.log_tail:
        lines.append(f"  the app's last {_count(len(event.log_tail), 'line')}:")
        lines += [f"    | {line}" for line in event.log_tail]
    return "\n".join(lines)


def _describe_sample(sample: WindowSampled) -> str:
    """On one line, however much there is to say."""
    evidence = sample.evidence
    p95_ms = sample.candidate.p95_ms if sample.candidate is not None else None
    p95 = "" if p95_ms is None else f", p95 {p95_ms:.0f} ms"
    return (
        f"  {sample.elapsed_s:5.1f} of {sample.window_s:g} s  {sample.candidate_requests_per_s:7.1f} requests/s{p95}  "
        f"{evidence.requests_count} requests, {evidence.failed_count} failed  "
        f"{evidence.probes_count} probes, {evidence.probes_failed_count} failed{_weigh(evidence)}"
    )


def _describe_verdict(event: VerdictReached) -> str:
    lines = [f"  {event.judgement} by {event.rule}: {event.reason}"]
    if event.judgement is Judgement.AMBIENT and event.evidence.percent == WHOLE:
        lines += ["    going back would not mend it, so nothing was done: look at what both slots need, then decide"]
    if event.judgement is Judgement.BREACH:
        lines += [f"    {_describe_failing(each)}" for each in event.evidence.failing_routes[:_ROUTES_SHOWN_COUNT]]
    return "\n".join(lines)


def _describe_failing(route: FailingRoute) -> str:
    """Without what a visitor asked for behind the `?`: these lines stay in logs that many read."""
    sample = route.sample.partition("?")[0]
    first = f", first {sample}" if sample and sample != route.route else ""
    named = f" (request {route.sample_id})" if route.sample_id else ""
    return escape_controls(f"{route.failed_count} failed: {route.route}{first}{named}")


def _describe_postflight(event: PostflightRan) -> str:
    if not event.failed:
        return f"  postflight: {_count(event.journeys_count, 'journey')} passed through the proxy"
    return (
        f"  ATTENTION: {_label(event.release)} in {event.slot} has the traffic, and through the proxy fails "
        f"{', '.join(event.failed)}; nothing is changed by that. Next: celadon logs --slot {event.slot}"
    )


def _describe_worker(event: WorkerStarted | WorkerQuieted | WorkerStopped | WorkerFailed) -> str:
    match event:
        case WorkerStarted(worker=worker, slot=slot, release=release, pid=pid):
            return f"  worker {worker} of {_label(release)} started in {slot}" + (f", pid {pid}" if pid else "")
        case WorkerQuieted(worker=worker, slot=slot, signal=signal):
            return f"  worker {worker} in {slot} begins nothing new ({signal})"
        case WorkerStopped(worker=worker, slot=slot, killed=killed, duration_s=duration_s):
            how = "killed after its grace" if killed else "stopped"
            return f"  worker {worker} in {slot} {how} ({duration_s:.1f} s)"
        case WorkerFailed(worker=worker, slot=slot, reason=reason):
            return f"  ATTENTION: worker {worker} does not start in {slot}: {reason}"


def _describe_failed_journey(event: JourneyFailed) -> str:
    line = f"  journey {event.journey} failed on {event.slot}{_by(event.through_proxy)}: {event.reason}"
    shown = event.output_tail or ((event.head,) if event.head else ())
    return "\n".join([line, *(f"    | {each}" for each in shown)])


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _by(through_proxy: bool) -> str:  # noqa: FBT001
    return " through the proxy" if through_proxy else ""


def _label(release: ReleaseNumber | None) -> str:
    return f"r{release}" if release is not None else "?"


def _weigh(evidence: Evidence) -> str:
    """Nothing where thresholds judge."""
    if not evidence.error_evidence_asked:
        return ""
    asked = f"  evidence {describe_weight(evidence.error_evidence)} of {evidence.error_evidence_asked:g}"
    if not evidence.control_count:
        return asked
    return f"{asked}  old slot: {evidence.control_failed_count} of {evidence.control_count} failed"
