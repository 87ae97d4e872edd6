"""What was seen of the outside world: route, slots, answers, traffic. No opinion, no memory."""

from enum import StrEnum

from msgspec import Struct

from celadon.model.names import ReleaseNumber, Slot

_SERVER_ERRORS_FROM = 500


WHOLE = 100
"""The share of a slot that has all of the traffic, in percent."""


class Split(Struct, frozen=True, kw_only=True):
    """Of each hundred requests `percent` (1 to 99) go to `slot`, beside the slot that is the route."""

    slot: Slot
    percent: int


class RouteView(Struct, frozen=True, kw_only=True):
    """What the proxy routes to. `slot` is None where no route is set yet. `seen` is False when only the
    pointer could be read because the proxy did not answer; `detail` then says why.
    `lingering_count` are old proxy workers that may still serve an earlier route. `disagreement` says, in words with
    both values, how the pointer on disk differs from what the running proxy does; empty when it does not."""

    slot: Slot | None
    seen: bool
    split: Split | None = None
    lingering_count: int = 0
    detail: str = ""
    disagreement: str = ""

    def reaches(self, slot: Slot) -> bool:
        """Whether any request of a visitor may go to `slot`."""
        return self.slot is slot or (self.split is not None and self.split.slot is slot)


class SlotStatus(StrEnum):
    RUNNING = "running"
    EXITED = "exited"
    STOPPED = "stopped"


class SlotView(Struct, frozen=True, kw_only=True):
    """What runs in a slot. EXITED: it ended by itself; STOPPED: nothing was asked to run there.

    `pids` are every process that belongs to the slot, its main one first. `release` is what the slot
    was last started with. `killed_for_memory`: by the kernel, as the service manager says; False where it cannot tell.
    `memory_limit_bytes` is enforced; None: there is none but the machine's."""

    slot: Slot
    status: SlotStatus
    release: ReleaseNumber | None = None
    pids: tuple[int, ...] = ()
    exit_code: int | None = None
    exit_reason: str = ""
    restarts_count: int = 0
    rss_bytes: int = 0
    killed_for_memory: bool = False
    memory_limit_bytes: int | None = None

    @property
    def has_processes(self) -> bool:
        """Also of a slot that counts as ended because one of its replicas has."""
        return self.status is SlotStatus.RUNNING or bool(self.pids)


class HostView(Struct, frozen=True, kw_only=True):
    """The machine's memory. `available_bytes` is what programs can still get without swapping, None where the kernel
    does not say. Counted since boot: bytes read back from swap and written to it, seconds in which some task waited
    for memory (None where the kernel does not say), processes killed for want of memory. `load` is the mean of runnable
    tasks over a minute."""

    available_bytes: int | None = None
    swapped_in_bytes: int = 0
    swapped_out_bytes: int = 0
    stalled_s: float | None = None
    killed_count: int = 0
    load: float = 0.0


class RoomView(Struct, frozen=True, kw_only=True):
    """What a slot uses, and what the machine has left. `used_bytes` a second copy needs for itself: memory that is no
    file's, what processes share counted once. `free_bytes` can be had without swapping, within the limits of our
    control groups; `free_tasks_count` are threads that may still be started. None where the kernel does not say."""

    used_bytes: int
    tasks_count: int
    free_bytes: int | None = None
    free_swap_bytes: int = 0
    free_tasks_count: int | None = None


class ConnectionsView(Struct, frozen=True, kw_only=True):
    """To the app's database: what a slot has, and how many more may be opened."""

    used_count: int
    free_count: int


class Answer(Struct, frozen=True, kw_only=True):
    """One probe's answer. `ok` False always has a `reason`; `hint` names the usual cause where known. `refused`:
    nothing listens there. `output_tail` are the last lines of a command that said no."""

    ok: bool
    latency_ms: float
    status: int | None = None
    head: str = ""
    reason: str = ""
    hint: str = ""
    refused: bool = False
    output_tail: tuple[str, ...] = ()


class Effect(StrEnum):
    """What a switch did to the route, as far as anyone can know. AT_REST: the proxy does not run, the route on its
    disk is in place, and it will start with it."""

    NONE = "none"
    MOVED = "moved"
    AT_REST = "at_rest"
    UNKNOWN = "unknown"


class Switched(Struct, frozen=True, kw_only=True):
    """`seen`: consecutive answers through the proxy came from `to`, or the share that was asked for is in force.
    Times count from the call in ms: `moved_ms` when the pointer was in place or the reload was asked for, `seen_ms`
    the first answer of the new slot, `settled_ms` when no old answer was possible any more."""

    to: Slot
    seen: bool
    effect: Effect
    moved_ms: float = 0.0
    seen_ms: float = 0.0
    settled_ms: float = 0.0
    reason: str = ""


class Stopped(Struct, frozen=True, kw_only=True):
    """`killed`: SIGKILL was needed after the grace."""

    slot: Slot
    killed: bool
    took_s: float


PREVIEWED = "preview"


class Hit(Struct, frozen=True, kw_only=True, gc=False):
    """One request, as the proxy logged it. `status` is what the client got; `duration_ms` its time in
    the proxy; `slot` None where no slot was asked. `look` marks requests that are no visitor's: our own looks, and
    those of a preview (PREVIEWED). `request_id` is the proxy's own name for the request, where it logs one."""

    slot: Slot | None
    status: int
    upstream_status: int | None
    duration_ms: float
    client_key: str
    route: str
    look: str = ""
    request_id: str = ""

    @property
    def failed(self) -> bool:
        return self.status >= _SERVER_ERRORS_FROM


class Served(Struct, frozen=True, kw_only=True):
    """What a slot answered since the last sample. The percentiles are of visitors' requests that did not fail, at most
    the last thousand of them; `probe_p95_ms` is of the readiness questions that it was asked. None: there were none."""

    requests_count: int = 0
    failed_count: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    probe_p95_ms: float | None = None


class Counted(Struct, frozen=True, kw_only=True):
    """What a proxy counted of one slot over the last `over_s`: requests that were answered, those of them with 5xx, and
    with 4xx."""

    slot: Slot
    requests_count: int
    failed_count: int
    client_errors_count: int = 0
    over_s: float = 0.0


class FindingLevel(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(Struct, frozen=True, kw_only=True):
    """One line of a check. A PROBLEM refuses the deploy; `fix` is the command or the lines to add."""

    level: FindingLevel
    subject: str
    text: str
    fix: str = ""


def problem(subject: str, text: str, *, fix: str = "") -> Finding:
    return Finding(level=FindingLevel.PROBLEM, subject=subject, text=text, fix=fix)


def warning(subject: str, text: str, *, fix: str = "") -> Finding:
    return Finding(level=FindingLevel.WARNING, subject=subject, text=text, fix=fix)
