"""Words for events: one line, or several, or none. Pure."""

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
    LingeringBegan,
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
from celadon.model.observed import FindingLevel
from celadon.model.plan import Outcome
from celadon.sinks.phrases import (
    describe_kinds,
    describe_lingered,
    describe_stop,
    describe_traffic,
    label,
    name_way,
    pluralise,
)
from celadon.sinks.telling import (
    describe_assets,
    describe_baseline,
    describe_compared,
    describe_failed_journey,
    describe_postflight,
    describe_sample,
    describe_start,
    describe_unready,
    describe_verdict,
    describe_worker,
)

_MIB = 1024 * 1024
REPAIRS = {
    "recovered_by_forward": "the release had been blessed: going forward",
    "recovered_by_return": "the route may have moved: going back to the old slot",
    "recovered_by_reject": "traffic had not moved: removing the candidate",
    "recovered_by_person": "the first release was not blessed and does not run",
    "live_slot_started": "the live slot was not running: started",
    "live_slot_completed": "a replica of the live slot was not running: started",
    "pointer_repaired": "the pointer follows what the proxy does",
    "share_ended": "a share of the traffic that no deploy was giving has ended",
    "workers_settled": "workers were not as they should be: started in the live slot, stopped in the other",
    "lingering_gone": "the slot that had been left to its streams does not run any more",
    "orphan_stopped": "a slot without traffic was left running: stopped",
}


def describe(entry: Entry) -> str | None:
    """None: not worth a line."""
    return describe_event(entry.body)


def describe_event(event: Event) -> str | None:  # noqa: C901, PLR0912, PLR0915  one case a kind
    match event:
        case OperationStarted():
            return describe_start(event)
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
            return describe_compared(event)
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
            return describe_unready(event)
        case JourneyPassed(journey=journey, slot=slot, duration_ms=duration_ms, through_proxy=through_proxy):
            return f"  journey {journey} passed on {slot}{name_way(through_proxy)} in {duration_ms:.0f} ms"
        case JourneyFailed():
            return describe_failed_journey(event)
        case PostflightRan():
            return describe_postflight(event)
        case HookRan(hook=hook, command=command, exit_code=exit_code, duration_s=duration_s, output_tail=tail):
            lines = [f"  {hook}: `{command}` exited with {exit_code} after {duration_s:.1f} s"]
            return "\n".join(lines + ([f"    | {line}" for line in tail] if exit_code else []))
        case AssetsGathered():
            return describe_assets(event)
        case StandingDown(slot=slot, release=release):
            return f"  {label(release)} in {slot} is stopped first: visitors get errors from here on"
        case ServedAgain(slot=slot, release=release, down_s=down_s):
            return f"  {label(release)} in {slot} answers through the proxy: the site was down for {down_s:.2f} s"
        case SwitchSeen(to_slot=slot, to_release=release, seen_ms=seen_ms):
            return f"  traffic goes to {slot}, {label(release)}: first seen {seen_ms:.1f} ms after the decision"
        case ShareSeen(to_slot=slot, to_release=release, percent=percent, seen_ms=seen_ms):
            return f"  {percent} % of the traffic goes to {slot}, {label(release)}: in force after {seen_ms:.1f} ms"
        case SwitchFailed(to_slot=slot, effect=effect, reason=reason):
            return f"  the switch to {slot} was not seen (effect {effect}): {reason}"
        case BaselineGathered():
            return describe_baseline(event)
        case WindowOpened(window_s=window_s, max_error_rate=rate, percent=percent):
            what = "watching" if percent == 100 else f"watching {percent} %"
            limit = "" if rate is None else f"; more than {rate:.1%} of 5xx brings the old release back"
            return f"  {what} for {window_s:g} s{limit}"
        case WindowSampled():
            return describe_sample(event)
        case WindowExtended(window_s=window_s, reason=reason):
            return f"  not decided yet, watching until {window_s:g} s: {reason}"
        case SourceLost(lost=lost, stands_on=stands_on, reason=reason):
            return f"  {reason}: the {lost} is left, the verdict stands on {stands_on}"
        case VerdictReached():
            return describe_verdict(event)
        case SiteAdopted(slot=slot, release=release, wheres=wheres, unit=unit):
            what = unit or "the running processes"
            return f"  {', '.join(wheres)} goes through the route now; {what} is {label(release)} in {slot}"
        case SiteEjected(slot=slot, address=address, files=files):
            return f"  the site goes to {address} ({slot}) without celadon; edited: {', '.join(files) or 'nothing'}"
        case Blessed(slot=slot, release=release):
            return f"  {label(release)} in {slot} is blessed"
        case WorkerStarted() | WorkerQuieted() | WorkerStopped() | WorkerFailed():
            return describe_worker(event)
        case DrainCounted(slot=slot, connections_count=count, kinds=kinds, lingering_workers_count=workers):
            lingering = f", {workers} old proxy workers" if workers else ""
            open_ones = f"{pluralise(count, 'connection')} open{describe_kinds(kinds)}"
            return f"  {slot} drains: {open_ones}{lingering}" if count or workers else None
        case SlotStopped():
            return f"  {describe_stop(event)}"
        case LingeringBegan():
            return f"  {describe_lingered(event)}"
        case CandidateKept(release=release, path=path):
            return f"  {label(release)} is kept for inspection: {path}"
        case ReleasesPruned(releases=releases):
            return f"  removed {', '.join(map(label, releases))}"
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
                f"releases {', '.join(map(label, releases))}"
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
