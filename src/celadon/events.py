"""Every fact that an operation can state. Past tense, values only: wording belongs to the sinks.

The journal stores them, `--json` prints them, everything that people see is made from them. A kind
or a field may be added; a field's meaning never changes within a schema version.
"""

from enum import StrEnum

import msgspec
from msgspec import Struct

from celadon.model.connections import KindCounts
from celadon.model.names import AppName, OperationId, ReleaseNumber, Slot
from celadon.model.observed import Effect, FindingLevel, Served
from celadon.model.plan import OperationKind, Outcome, Request
from celadon.model.release import Source
from celadon.model.verdict import Evidence, Judgement, StandsOn

SCHEMA_VERSION = 1


class Step(StrEnum):
    """The five steps of a deploy and the two ways out of them."""

    PREPARE = "prepare"
    VERIFY = "verify"
    SWITCH = "switch"
    OBSERVE = "observe"
    FINALIZE = "finalize"
    REJECT = "reject"
    RETURN = "return"


class _Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    pass


class OperationStarted(_Event, frozen=True, kw_only=True, tag="operation_started"):
    """Written once the lock is held. `pid` is the process that runs the operation."""

    kind: OperationKind
    lead: str
    pid: int
    candidate: Slot | None = None
    live: Slot | None = None
    live_release: ReleaseNumber | None = None
    release: ReleaseNumber | None = None
    source: Source | None = None


class OperationEnded(_Event, frozen=True, kw_only=True, tag="operation_ended"):
    """The last event of every operation. `route` is where traffic goes now, as last observed; `down_s` is how long the
    site was down for it, as far as this process has seen."""

    outcome: Outcome
    reason: str = ""
    code: str = ""
    next_command: str | None = None
    route: Slot | None = None
    route_release: ReleaseNumber | None = None
    duration_s: float = 0.0
    down_s: float = 0.0


class StepStarted(_Event, frozen=True, kw_only=True, tag="step_started"):
    """The intent of a step, durable before its first effect."""

    step: Step


class StepEnded(_Event, frozen=True, kw_only=True, tag="step_ended"):
    """How a step ended; `reason` is empty when it went well."""

    step: Step
    result: str
    duration_s: float
    reason: str = ""


class CheckFound(_Event, frozen=True, kw_only=True, tag="check_found"):
    """One finding of the checks before anything is touched."""

    level: FindingLevel
    subject: str
    text: str
    fix: str = ""


class BuildStepStarted(_Event, frozen=True, kw_only=True, tag="build_step_started"):
    """A shell command of the build, about to run."""

    command: str


class BuildStepEnded(_Event, frozen=True, kw_only=True, tag="build_step_ended"):
    """`output_tail` is empty when `exit_code` is 0."""

    command: str
    exit_code: int
    duration_s: float
    output_tail: tuple[str, ...] = ()


class DependenciesReused(_Event, frozen=True, kw_only=True, tag="dependencies_reused"):
    """`directory` was copied from an earlier release: its lock file is the same."""

    directory: str
    lock_file: str
    from_release: ReleaseNumber


class ReleaseMade(_Event, frozen=True, kw_only=True, tag="release_made"):
    """The release stands whole on disk."""

    release: ReleaseNumber
    source: Source
    tree_digest: str
    files_count: int
    bytes_count: int
    duration_s: float


class ReleaseCompared(_Event, frozen=True, kw_only=True, tag="release_compared"):
    """What is other in a new release than in the one that was live: its files, variables and settings, by name."""

    release: ReleaseNumber
    live: ReleaseNumber
    files_differ: bool
    env_added: tuple[str, ...] = ()
    env_changed: tuple[str, ...] = ()
    env_removed: tuple[str, ...] = ()
    settings_changed: tuple[str, ...] = ()


class ReleaseChosen(_Event, frozen=True, kw_only=True, tag="release_chosen"):
    """A kept release was taken, its digest checked."""

    release: ReleaseNumber


class ReleaseCommandStarted(_Event, frozen=True, kw_only=True, tag="release_command_started"):
    """The intent to run the app's release command in the new release."""

    release: ReleaseNumber
    command: str
    timeout_s: float


class ReleaseCommandRan(_Event, frozen=True, kw_only=True, tag="release_command_ran"):
    """It ended, or was ended: `reason` says how where that was not well, `exit_code` is None where it had none.
    `output_tail` are its last 20 lines; all of them, up to 1,000, are in the release's `release.log`."""

    release: ReleaseNumber
    command: str
    exit_code: int | None
    duration_s: float
    reason: str = ""
    output_tail: tuple[str, ...] = ()


class CandidateStarting(_Event, frozen=True, kw_only=True, tag="candidate_starting"):
    """The intent to start `release` in `slot`."""

    slot: Slot
    release: ReleaseNumber
    address: str


class CandidateStarted(_Event, frozen=True, kw_only=True, tag="candidate_started"):
    """The process exists; it need not be ready."""

    slot: Slot
    release: ReleaseNumber
    pid: int | None


class ReadinessAsked(_Event, frozen=True, kw_only=True, tag="readiness_asked"):
    """A readiness answer that changed something: the first, a no, and the first yes after a no."""

    slot: Slot
    ok: bool
    latency_ms: float
    status: int | None = None
    head: str = ""
    reason: str = ""
    hint: str = ""


class CandidateReady(_Event, frozen=True, kw_only=True, tag="candidate_ready"):
    """Ready: so many yeses in a row, by the process that was started."""

    slot: Slot
    probes_count: int
    after_s: float


class CandidateUnready(_Event, frozen=True, kw_only=True, tag="candidate_unready"):
    """Readiness was given up. `head` are the first 200 bytes of the last answer, `log_tail` the app's last 20 lines."""

    slot: Slot
    reason: str
    probe: str
    head: str = ""
    hint: str = ""
    log_tail: tuple[str, ...] = ()


class JourneyPassed(_Event, frozen=True, kw_only=True, tag="journey_passed"):
    """Every step of a journey was answered as expected by a slot, asked itself or `through_proxy`. `duration_ms` is of
    all its steps. In the window: the first that passed, and the first after a failure."""

    journey: str
    slot: Slot
    duration_ms: float
    through_proxy: bool = False


class JourneyFailed(_Event, frozen=True, kw_only=True, tag="journey_failed"):
    """A step was not: `reason` names it, with what was expected and seen. `status` and `head` (the body's first 200
    bytes) are of its answer, if one came; `output_tail` are a command's last lines. In the window: the first three of a
    row."""

    journey: str
    slot: Slot
    status: int | None
    reason: str
    head: str = ""
    output_tail: tuple[str, ...] = ()
    through_proxy: bool = False


class PostflightRan(_Event, frozen=True, kw_only=True, tag="postflight_ran"):
    """At the end, each journey of the release that has the traffic was run once through the proxy. `failed` are those
    that did not pass; nothing follows from them."""

    slot: Slot
    release: ReleaseNumber
    journeys_count: int
    failed: tuple[str, ...]


class HookRan(_Event, frozen=True, kw_only=True, tag="hook_ran"):
    """A hook command ended. `output_tail` are its last lines."""

    hook: str
    command: str
    exit_code: int
    duration_s: float
    output_tail: tuple[str, ...] = ()


class BootEnabled(_Event, frozen=True, kw_only=True, tag="boot_enabled"):
    """The slot is started when the machine boots."""

    slot: Slot


class BootDisabled(_Event, frozen=True, kw_only=True, tag="boot_disabled"):
    """The slot is no longer started when the machine boots."""

    slot: Slot


class AssetsGathered(_Event, frozen=True, kw_only=True, tag="assets_gathered"):
    """What pages of `releases` ask for lies in `directory`, for the proxy. `differing` are the first few of the names
    that are not the same file in all of them: none of those is there, the app answers them."""

    directory: str
    releases: tuple[ReleaseNumber, ...]
    files_count: int
    added_count: int
    removed_count: int
    differing_count: int
    differing: tuple[str, ...] = ()


class StandingDown(_Event, frozen=True, kw_only=True, tag="standing_down"):
    """The intent to stop a slot that the route leads to, before another one can start (`strategy = "stop-first"`). From
    here on visitors get errors."""

    slot: Slot
    release: ReleaseNumber | None


class ServedAgain(_Event, frozen=True, kw_only=True, tag="served_again"):
    """After that the proxy was seen to get answers of `slot`. `down_s` counts from the signal to stop."""

    slot: Slot
    release: ReleaseNumber
    down_s: float


class SwitchIntended(_Event, frozen=True, kw_only=True, tag="switch_intended"):
    """The pivot's intent. `from_slot` None: the first deploy."""

    from_slot: Slot | None
    to_slot: Slot
    to_release: ReleaseNumber


class SwitchSeen(_Event, frozen=True, kw_only=True, tag="switch_seen"):
    """The route moved and the proxy answered as `to_slot`. Milliseconds count from the decision."""

    to_slot: Slot
    to_release: ReleaseNumber
    moved_ms: float
    seen_ms: float
    settled_ms: float


class ShareSeen(_Event, frozen=True, kw_only=True, tag="share_seen"):
    """Of each hundred clients `percent` are answered by `to_slot`, the others by the old slot. Milliseconds count from
    the decision."""

    to_slot: Slot
    to_release: ReleaseNumber
    percent: int
    moved_ms: float
    seen_ms: float
    settled_ms: float


class SwitchFailed(_Event, frozen=True, kw_only=True, tag="switch_failed"):
    """The route was not seen to move. `effect` is what it may have done all the same."""

    to_slot: Slot
    effect: Effect
    reason: str
    percent: int = 100


class BaselineGathered(_Event, frozen=True, kw_only=True, tag="baseline_gathered"):
    """How the live slot did before the switch, the last seven days at most: `bad_units_count` of `units_count` units,
    of which less than the share `rate_bound` usually fail. `cut_short`: only the newest part of the log was read.
    `trial` is what the rule would have done to the live slot itself; `is_armed` False: nothing goes back by evidence.
    `problem` is why it could not be read or kept, which fails no deploy."""

    minutes_count: int
    units_count: int
    bad_units_count: int
    rate_bound: float | None
    p95_ms: float | None
    cut_short: bool = False
    trial: str = ""
    is_armed: bool = True
    problem: str = ""


class WindowOpened(_Event, frozen=True, kw_only=True, tag="window_opened"):
    """`percent` below 100: a share is held, and watched like the window itself."""

    percent: int = 100
    window_s: float
    max_error_rate: float | None = None
    min_requests_count: int


class WindowSampled(_Event, frozen=True, kw_only=True, tag="window_sampled"):
    """Each second of a window's first minute, then each five seconds, or sooner when the evidence has doubled. Rates
    per second, `candidate` and `old` are since the last sample (None in journals of older versions); counts since the
    switch. `old_failed_count` are requests that the old slot answered with 5xx."""

    elapsed_s: float
    window_s: float
    candidate_requests_per_s: float
    old_requests_per_s: float
    old_failed_count: int = 0
    candidate: Served | None = None
    old: Served | None = None
    evidence: Evidence


class WindowExtended(_Event, frozen=True, kw_only=True, tag="window_extended"):
    """It ended with nobody knowing, and goes on until `window_s` since it was opened."""

    window_s: float
    reason: str
    evidence: Evidence


class SourceLost(_Event, frozen=True, kw_only=True, tag="source_lost"):
    """What told of visitors in the window can no longer be trusted; from now on `stands_on` does."""

    lost: StandsOn
    stands_on: StandsOn
    reason: str


class VerdictReached(_Event, frozen=True, kw_only=True, tag="verdict_reached"):
    """The window, or the hold of a share, was decided. `candidate` and `old` are since the last sample (None in
    journals of older versions)."""

    judgement: Judgement
    rule: str
    reason: str
    candidate: Served | None = None
    old: Served | None = None
    evidence: Evidence


class SiteAdopted(_Event, frozen=True, kw_only=True, tag="site_adopted"):
    """The site's requests go through the route now, to what ran already. `wheres` are the places in the proxy's
    configuration, `files` those of the user that were edited; `unit` is empty for plain processes."""

    slot: Slot
    release: ReleaseNumber
    wheres: tuple[str, ...]
    files: tuple[str, ...]
    unit: str = ""


class SiteEjected(_Event, frozen=True, kw_only=True, tag="site_ejected"):
    """The site is served by plain configuration again, from the address of `slot`."""

    slot: Slot
    address: str
    files: tuple[str, ...]


class Blessed(_Event, frozen=True, kw_only=True, tag="blessed"):
    """The commit point: from here recovery only rolls forward."""

    slot: Slot
    release: ReleaseNumber


class WorkerStarted(_Event, frozen=True, kw_only=True, tag="worker_started"):
    """A process of a worker exists. `worker` has its number where there are replicas, as `mail.2`."""

    worker: str
    slot: Slot
    release: ReleaseNumber
    pid: int | None


class WorkerQuieted(_Event, frozen=True, kw_only=True, tag="worker_quieted"):
    """It was told to begin nothing new."""

    worker: str
    slot: Slot
    signal: str


class WorkerStopped(_Event, frozen=True, kw_only=True, tag="worker_stopped"):
    """`killed`: SIGKILL was needed after its grace. `duration_s` is with the wait until it was idle."""

    worker: str
    slot: Slot
    killed: bool
    duration_s: float


class WorkerFailed(_Event, frozen=True, kw_only=True, tag="worker_failed"):
    """It could not be started where there is nowhere to go back to."""

    worker: str
    slot: Slot
    reason: str


class DrainCounted(_Event, frozen=True, kw_only=True, tag="drain_counted"):
    """Connections of `slot` still open, from the kernel, and proxy workers still on an old route. `kinds` is what they
    are taken for (None in journals of older versions)."""

    slot: Slot
    connections_count: int
    kinds: KindCounts | None = None
    lingering_workers_count: int
    elapsed_s: float


class SlotStopped(_Event, frozen=True, kw_only=True, tag="slot_stopped"):
    """`cut_count` connections were still open when SIGTERM was sent: `left`, by kind (None in journals of older
    versions, and of a slot that the route still led to). Of these `signalled_count` streams were the app's own to close
    on that signal: unless `killed`, nobody cut them."""

    slot: Slot
    release: ReleaseNumber | None
    cut_count: int
    left: KindCounts | None = None
    signalled_count: int = 0
    killed: bool
    duration_s: float


class LingeringBegan(_Event, frozen=True, kw_only=True, tag="lingering_began"):
    """After the bless `slot` lives on for its streams, which are in `left`, for `limit_s` at most from `since_s` on (by
    the machine's monotonic clock). Its end is a `slot_stopped`, or that the route leads there again."""

    slot: Slot
    release: ReleaseNumber | None
    left: KindCounts
    since_s: float
    limit_s: float


class CandidateKept(_Event, frozen=True, kw_only=True, tag="candidate_kept"):
    """A failed candidate's tree, log and masked env stay at `path` until the next deploy."""

    release: ReleaseNumber
    path: str


class ReleasesPruned(_Event, frozen=True, kw_only=True, tag="releases_pruned"):
    """Old releases were removed from disk."""

    releases: tuple[ReleaseNumber, ...]


class RequestTaken(_Event, frozen=True, kw_only=True, tag="request_taken"):
    """A person's request reached the running operation."""

    request: Request
    by: str


class InterruptionFound(_Event, frozen=True, kw_only=True, tag="interruption_found"):
    """An operation had died: what its journal says and what was observed."""

    operation: OperationId
    step: Step | None
    blessed: bool
    route: Slot | None
    blue: str
    green: str


class Repaired(_Event, frozen=True, kw_only=True, tag="repaired"):
    """One repair that recovery made. `what` is a stable word, `slot` where it was made."""

    what: str
    slot: Slot | None = None
    detail: str = ""


class JournalRebuilt(_Event, frozen=True, kw_only=True, tag="journal_rebuilt"):
    """The journal was lost or damaged; this is what router, processes and manifests show."""

    set_aside: str | None
    route: Slot | None
    releases: tuple[ReleaseNumber, ...]


Event = (
    OperationStarted
    | OperationEnded
    | StepStarted
    | StepEnded
    | CheckFound
    | BuildStepStarted
    | BuildStepEnded
    | DependenciesReused
    | ReleaseMade
    | ReleaseCompared
    | ReleaseChosen
    | ReleaseCommandStarted
    | ReleaseCommandRan
    | CandidateStarting
    | CandidateStarted
    | ReadinessAsked
    | CandidateReady
    | CandidateUnready
    | JourneyPassed
    | JourneyFailed
    | PostflightRan
    | HookRan
    | BootEnabled
    | BootDisabled
    | AssetsGathered
    | StandingDown
    | ServedAgain
    | SwitchIntended
    | SwitchSeen
    | ShareSeen
    | SwitchFailed
    | BaselineGathered
    | WindowOpened
    | WindowSampled
    | WindowExtended
    | SourceLost
    | VerdictReached
    | SiteAdopted
    | SiteEjected
    | Blessed
    | WorkerStarted
    | WorkerQuieted
    | WorkerStopped
    | WorkerFailed
    | DrainCounted
    | SlotStopped
    | LingeringBegan
    | CandidateKept
    | ReleasesPruned
    | RequestTaken
    | InterruptionFound
    | Repaired
    | JournalRebuilt
)


class Entry(Struct, frozen=True, kw_only=True):
    """An event as stored: `sequence` grows by one and is its identity; `at` is wall-clock seconds, for
    people only."""

    sequence: int
    operation: OperationId
    app: AppName
    at: float
    body: Event


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    return _encoder.encode(event)


def decode_event(text: bytes | str) -> Event:
    """Raises msgspec.ValidationError on a kind or shape this version does not know."""
    return _decoder.decode(text)
