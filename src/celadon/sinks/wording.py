"""Words for events: one line, or several, or none. Pure."""

from celadon.events import (
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
    ReleaseMade,
    ReleasesPruned,
    Repaired,
    RequestTaken,
    ShareSeen,
    SiteAdopted,
    SiteEjected,
    SlotStopped,
    StepEnded,
    StepStarted,
    SwitchFailed,
    SwitchSeen,
    VerdictReached,
    WindowExtended,
    WindowOpened,
    WindowSampled,
)
from celadon.model.names import ReleaseNumber, Slot
from celadon.model.observed import FindingLevel
from celadon.model.plan import OperationKind, Outcome
from celadon.model.verdict import Evidence

_MIB = 1024 * 1024
_REPAIRS = {
    "recovered_by_forward": "the release had been blessed: going forward",
    "recovered_by_return": "the route may have moved: going back to the old slot",
    "recovered_by_reject": "traffic had not moved: removing the candidate",
    "recovered_by_person": "the first release was not blessed and does not run",
    "live_slot_started": "the live slot was not running: started",
    "pointer_repaired": "the pointer follows what the proxy does",
    "share_ended": "a share of the traffic that no deploy was giving has ended",
    "orphan_stopped": "a slot without traffic was left running: stopped",
}


def describe(entry: Entry) -> str | None:
    """None: not worth a line."""
    return describe_event(entry.body)


def describe_event(event: Event) -> str | None:  # noqa: C901, PLR0912  one case a kind
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
        case ReleaseChosen(release=release):
            return f"  r{release} taken as it was built"
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
        case SwitchSeen(to_slot=slot, to_release=release, seen_ms=seen_ms):
            return f"  traffic goes to {slot}, {_label(release)}: first seen {seen_ms:.1f} ms after the decision"
        case ShareSeen(to_slot=slot, to_release=release, percent=percent, seen_ms=seen_ms):
            return f"  {percent} % of the traffic goes to {slot}, {_label(release)}: in force after {seen_ms:.1f} ms"
        case SwitchFailed(to_slot=slot, effect=effect, reason=reason):
            return f"  the switch to {slot} was not seen (effect {effect}): {reason}"
        case WindowOpened(window_s=window_s, max_error_rate=rate, percent=percent):
            what = "watching" if percent == 100 else f"watching {percent} %"
            return f"  {what} for {window_s:g} s; more than {rate:.1%} of 5xx brings the old release back"
        case WindowSampled(elapsed_s=elapsed_s, window_s=window_s, candidate_requests_per_s=rate, evidence=evidence):
            return (
                f"  {elapsed_s:5.1f} of {window_s:g} s  {rate:7.1f} requests/s  {evidence.requests_count} requests, "
                f"{evidence.failed_count} failed  {evidence.probes_count} probes, {evidence.probes_failed_count} failed"
                f"{_weigh(evidence)}"
            )
        case WindowExtended(window_s=window_s, reason=reason):
            return f"  not decided yet, watching until {window_s:g} s: {reason}"
        case VerdictReached(judgement=judgement, rule=rule, reason=reason):
            return f"  {judgement} by {rule}: {reason}"
        case SiteAdopted(slot=slot, release=release, wheres=wheres, unit=unit):
            what = unit or "the running processes"
            return f"  {', '.join(wheres)} goes through the route now; {what} is {_label(release)} in {slot}"
        case SiteEjected(slot=slot, address=address, files=files):
            return f"  the site goes to {address} ({slot}) without celadon; edited: {', '.join(files) or 'nothing'}"
        case Blessed(slot=slot, release=release):
            return f"  {_label(release)} in {slot} is blessed"
        case DrainCounted(slot=slot, connections_count=count, lingering_workers_count=workers):
            lingering = f", {workers} old proxy workers" if workers else ""
            return f"  {slot} drains: {count} connections open{lingering}" if count or workers else None
        case SlotStopped(slot=slot, cut_count=cut, killed=killed, duration_s=duration_s):
            how = ", by SIGKILL" if killed else ""
            return f"  {slot} stopped after {duration_s:.2f} s{how}; {_count(cut, 'connection')} cut"
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
            return f"  {_REPAIRS.get(what, what)}" + (f": {detail}" if detail else "")
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
    if event.next_command:
        lines.append(f"Next:    {event.next_command}")
    return "\n".join(lines)


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


def _describe_start(event: OperationStarted) -> str:
    release = f" of {_label(event.release)}" if event.release is not None else ""
    match event.kind:
        case OperationKind.DEPLOY:
            live = f"{_label(event.live_release)} in {event.live}" if event.live else "nothing yet"
            return f"deploy{release} into {event.candidate} by {event.lead}; live: {live}"
        case OperationKind.ADOPT | OperationKind.EJECT:
            return f"{event.kind} by {event.lead}"
        case OperationKind.ROLLBACK | OperationKind.FINALIZE | OperationKind.RECOVER:
            return f"{event.kind}{release} by {event.lead}"


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


def _describe_postflight(event: PostflightRan) -> str:
    if not event.failed:
        return f"  postflight: {_count(event.journeys_count, 'journey')} passed through the proxy"
    return (
        f"  ATTENTION: {_label(event.release)} in {event.slot} has the traffic, and through the proxy fails "
        f"{', '.join(event.failed)}; nothing is changed by that. Next: celadon logs --slot {event.slot}"
    )


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
    asked = f"  evidence {evidence.error_evidence:.3g} of {evidence.error_evidence_asked:g}"
    if not evidence.control_count:
        return asked
    return f"{asked}  old slot: {evidence.control_failed_count} of {evidence.control_count} failed"
