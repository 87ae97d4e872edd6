"""Events that take more than a plain sentence."""

from celadon.events import (
    AssetsGathered,
    BaselineGathered,
    CandidateUnready,
    JourneyFailed,
    OperationStarted,
    PostflightRan,
    ReleaseCompared,
    VerdictReached,
    WindowSampled,
    WorkerFailed,
    WorkerQuieted,
    WorkerStarted,
    WorkerStopped,
)
from celadon.host.text import escape_controls
from celadon.model.observed import WHOLE
from celadon.model.plan import OperationKind
from celadon.model.release import SourceKind
from celadon.model.verdict import Evidence, FailingRoute, Judgement
from celadon.sinks.phrases import describe_weight, label, name_way, pluralise

_ROUTES_SHOWN_COUNT = 3


def describe_start(event: OperationStarted) -> str:
    release = f" of {label(event.release)}" if event.release is not None else ""
    match event.kind:
        case OperationKind.DEPLOY:
            live = f"{label(event.live_release)} in {event.live}" if event.live else "nothing yet"
            return f"deploy{release}{_describe_env_only(event)} into {event.candidate} by {event.lead}; live: {live}"
        case OperationKind.RESTART:
            return f"restart of {label(event.release)} from {event.live} into {event.candidate} by {event.lead}"
        case OperationKind.ADOPT | OperationKind.EJECT:
            return f"{event.kind} by {event.lead}"
        case OperationKind.ROLLBACK | OperationKind.FINALIZE | OperationKind.RECOVER | OperationKind.RETIRE:
            return f"{event.kind}{release} by {event.lead}"


def _describe_env_only(event: OperationStarted) -> str:
    if event.source is None or event.source.kind is not SourceKind.RELEASE:
        return ""
    return f", {event.source.location} with a new environment,"


def describe_baseline(event: BaselineGathered) -> str:
    lines = [f"  warning: {event.problem}"] if event.problem else []
    if event.rate_bound is None:
        lines.append("  the live slot's usual traffic is not known yet")
    else:
        units, minutes = pluralise(event.units_count, "unit"), pluralise(event.minutes_count, "minute")
        took = "" if event.p95_ms is None else f", p95 {event.p95_ms:.1f} ms"
        failed = f"{event.bad_units_count} of {units} in {minutes} failed, usually less than {event.rate_bound:.2%}"
        lines.append(f"  the live slot before: {failed}{took}")
    if event.cut_short:
        lines.append("    only the newest part of the access log was read: it is long")
    if event.trial:
        lines.append(f"    {event.trial}")
    return "\n".join(lines)


def describe_compared(event: ReleaseCompared) -> str:
    what = {
        "variables added": event.env_added,
        "variables changed": event.env_changed,
        "variables gone": event.env_removed,
        "settings changed": event.settings_changed,
    }
    told = [f"{how}: {', '.join(names)}" for how, names in what.items() if names]
    files = "other files" if event.files_differ else "the same files"
    return f"  beside {label(event.live)}: {'; '.join([files, *told])}"


def describe_assets(event: AssetsGathered) -> str:
    releases = pluralise(len(event.releases), "release")
    line = (
        f"  assets of {releases} in {event.directory}: {pluralise(event.files_count, 'file')}, {event.added_count} new"
    )
    if not event.differing_count:
        return line
    more = ", …" if event.differing_count > len(event.differing) else ""
    names = ", ".join(map(escape_controls, event.differing))
    return f"{line}\n    left to the app, for they are not the same in all: {names}{more}"


def describe_unready(event: CandidateUnready) -> str:
    lines = [f"  {event.slot} is not ready: {event.probe}: {event.reason}"]
    if event.head:
        lines.append(f"    it answered: {event.head}")
    if event.hint:
        lines.append(f"    {event.hint}")
    if event.log_tail:
        lines.append(f"  the app's last {pluralise(len(event.log_tail), 'line')}:")
        lines += [f"    | {line}" for line in event.log_tail]
    return "\n".join(lines)


def describe_sample(sample: WindowSampled) -> str:
    """On one line, however much there is to say."""
    evidence = sample.evidence
    p95_ms = sample.candidate.p95_ms if sample.candidate is not None else None
    p95 = "" if p95_ms is None else f", p95 {p95_ms:.0f} ms"
    return (
        f"  {sample.elapsed_s:5.1f} of {sample.window_s:g} s  {sample.candidate_requests_per_s:7.1f} requests/s{p95}  "
        f"{evidence.requests_count} requests, {evidence.failed_count} failed  "
        f"{evidence.probes_count} probes, {evidence.probes_failed_count} failed{_weigh(evidence)}"
    )


def _weigh(evidence: Evidence) -> str:
    """Nothing where thresholds judge."""
    if not evidence.error_evidence_asked:
        return ""
    asked = f"  evidence {describe_weight(evidence.error_evidence)} of {evidence.error_evidence_asked:g}"
    if not evidence.control_count:
        return asked
    return f"{asked}  old slot: {evidence.control_failed_count} of {evidence.control_count} failed"


def describe_verdict(event: VerdictReached) -> str:
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


def describe_postflight(event: PostflightRan) -> str:
    if not event.failed:
        return f"  postflight: {pluralise(event.journeys_count, 'journey')} passed through the proxy"
    return (
        f"  ATTENTION: {label(event.release)} in {event.slot} has the traffic, and through the proxy fails "
        f"{', '.join(event.failed)}; nothing is changed by that. Next: celadon logs --slot {event.slot}"
    )


def describe_failed_journey(event: JourneyFailed) -> str:
    line = f"  journey {event.journey} failed on {event.slot}{name_way(event.through_proxy)}: {event.reason}"
    shown = event.output_tail or ((event.head,) if event.head else ())
    return "\n".join([line, *(f"    | {each}" for each in shown)])


def describe_worker(event: WorkerStarted | WorkerQuieted | WorkerStopped | WorkerFailed) -> str:
    match event:
        case WorkerStarted(worker=worker, slot=slot, release=release, pid=pid):
            return f"  worker {worker} of {label(release)} started in {slot}" + (f", pid {pid}" if pid else "")
        case WorkerQuieted(worker=worker, slot=slot, signal=signal):
            return f"  worker {worker} in {slot} begins nothing new ({signal})"
        case WorkerStopped(worker=worker, slot=slot, killed=killed, duration_s=duration_s):
            how = "killed after its grace" if killed else "stopped"
            return f"  worker {worker} in {slot} {how} ({duration_s:.1f} s)"
        case WorkerFailed(worker=worker, slot=slot, reason=reason):
            return f"  ATTENTION: worker {worker} does not start in {slot}: {reason}"
