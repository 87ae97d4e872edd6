"""What celadon.toml says, as typed values with every default filled in.

Durations are seconds (`_s`), sizes bytes (`_bytes`), rates shares in [0, 1]. These values are stored
in each release's manifest, so a field may be added with a default but never change its meaning.
"""

from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from celadon.model.address import Address
from celadon.model.journeys import Journey
from celadon.model.names import AppName, Slot
from celadon.model.processes import (
    RELEASE,
    WEB,
    ProcessSettings,
    ReleaseCommand,
    WorkerSettings,
    find_worker_name,
    name_web_replica,
)


class RunnerKind(StrEnum):
    PROCESS = "process"
    SYSTEMD = "systemd"
    DOCKER = "docker"
    PODMAN = "podman"
    COMPOSE = "compose"


CONTAINER_RUNNERS = frozenset({RunnerKind.DOCKER, RunnerKind.PODMAN, RunnerKind.COMPOSE})
"""Those that run a release as an image."""


class ProxyKind(StrEnum):
    NGINX = "nginx"
    CADDY = "caddy"
    HAPROXY = "haproxy"
    TRAEFIK = "traefik"


POOLED_S = {ProxyKind.NGINX: 0.0, ProxyKind.CADDY: 3.0, ProxyKind.HAPROXY: 10.0, ProxyKind.TRAEFIK: 3.0}
"""How long the proxy, as we configure it, keeps a connection to a slot that no request uses. Measured: 1.0 s of Caddy,
1.1 of Traefik, 5.5 of HAProxy, which halves its pool each second or so."""


class SwitchWay(StrEnum):
    POINTER = "pointer"
    SYMLINK = "symlink"
    INCLUDE = "include"
    RELOAD = "reload"


class Strategy(StrEnum):
    """SIDE_BY_SIDE runs both releases while traffic moves. STOP_FIRST is for an app that cannot run twice: what is live
    is stopped before the candidate starts, and visitors get errors until it is ready."""

    SIDE_BY_SIDE = "side-by-side"
    STOP_FIRST = "stop-first"


class SwitchSettings(Struct, frozen=True, kw_only=True):
    """`steps` are the shares of the traffic, in percent, that the candidate gets one after the other; the last is 100.
    Each smaller one is watched for `hold_s`, as the window is. `require_room`: no deploy where what is live does not
    fit twice; `connections` is a shell command that prints how many connections to its database that has, and how many
    more it may open."""

    steps: tuple[int, ...] = (100,)
    hold_s: float = 30.0
    require_room: bool = True
    connections: str | None = None
    strategy: Strategy = Strategy.SIDE_BY_SIDE


class ProbeKind(StrEnum):
    HTTP = "http"
    TCP = "tcp"
    COMMAND = "command"


class BlessMode(StrEnum):
    """AUTO retires the old slot when the window ends healthy; MANUAL keeps it hot for `finalize`."""

    AUTO = "auto"
    MANUAL = "manual"


class JudgeKind(StrEnum):
    """EVIDENCE weighs what users, journeys and the old slot show (rule R*); THRESHOLDS are the plain limits alone."""

    EVIDENCE = "evidence"
    THRESHOLDS = "thresholds"


class OnUndecided(StrEnum):
    """What follows a window that ends with nobody knowing. HOLD: the old slot stays hot and a person decides."""

    HOLD = "hold"
    BLESS = "bless"
    ROLLBACK = "rollback"


class SourceSettings(Struct, frozen=True, kw_only=True):
    """`path` is absolute. `exclude` are glob patterns, matched on the path inside the source."""

    path: str
    exclude: tuple[str, ...] = (".git", ".celadon", "__pycache__", "*.pyc")


class ReusedDirectory(Struct, frozen=True, kw_only=True):
    """`directory` is copied from the last release when `lock_file` has not changed."""

    directory: str
    lock_file: str


class BuildSettings(Struct, frozen=True, kw_only=True):
    """`steps` are shell commands. `dependency_steps` fill the `reuse` directories; they run first
    and only when one of those was not copied."""

    steps: tuple[str, ...] = ()
    dependency_steps: tuple[str, ...] = ()
    reuse: tuple[ReusedDirectory, ...] = ()
    timeout_s: float = 600.0


class LimitSettings(Struct, frozen=True, kw_only=True):
    """Enforced by the systemd runner (`MemoryMax`, `CPUQuota`, `TasksMax`, `LimitNOFILE`) and by those of containers;
    the process runner enforces `open_files_count` only and says so. `cpu_percent` 150 is 1.5 cores."""

    memory_bytes: int | None = None
    cpu_percent: int | None = None
    tasks_count: int | None = None
    open_files_count: int | None = None


class SystemdSettings(Struct, frozen=True, kw_only=True):
    """`hardening_off` names the hardening directives to leave out. `user_manager`: `systemctl --user`."""

    hardening_off: tuple[str, ...] = ()
    restart_delay_s: float = 1.0
    kill_mode: str = "mixed"
    user_manager: bool = False


HOST_NETWORK = "host"


class ContainerSettings(Struct, frozen=True, kw_only=True):
    """Where the image comes from is one of `image` (a name; with `@sha256:` it may be pulled), `build` (a directory of
    the tree) and `archive` (a file of it). `port` is the app's inside, None: the slot's own. `volumes` are paths inside
    → absolute ones, or ones below the app's shared directory. `options` go to the engine's `run` as they are."""

    image: str | None = None
    build: str | None = None
    archive: str | None = None
    port: int | None = None
    network: str = "bridge"
    volumes: dict[str, str] = field(default_factory=dict)
    init: bool = True
    options: tuple[str, ...] = ()


class ComposeSettings(Struct, frozen=True, kw_only=True):
    """`file` is in the release, `service` the one that answers requests. `shared` are services that both slots use:
    each runs once for the app."""

    file: str = "compose.yaml"
    service: str = "web"
    shared: tuple[str, ...] = ()


class WebSettings(Struct, frozen=True, kw_only=True):
    """The process that answers requests. `command` runs under `/bin/sh` in the release's tree, the
    shell replaced by it; empty: the image's own. `env` are plain values; `env_file` is absolute, read at deploy and
    belongs to the release. `blue_more` and `green_more` are where a slot's replicas listen after its first."""

    command: str
    blue: Address
    green: Address
    blue_more: tuple[Address, ...] = ()
    green_more: tuple[Address, ...] = ()
    runner: RunnerKind = RunnerKind.PROCESS
    env: dict[str, str] = field(default_factory=dict)
    env_file: str | None = None
    limits: LimitSettings = LimitSettings()
    systemd: SystemdSettings = SystemdSettings()
    container: ContainerSettings = ContainerSettings()
    compose: ComposeSettings = ComposeSettings()

    def address(self, slot: Slot) -> Address:
        """Of its first replica."""
        return self.blue if slot is Slot.BLUE else self.green

    def addresses(self, slot: Slot) -> tuple[Address, ...]:
        """Of all of its replicas."""
        return (self.address(slot), *(self.blue_more if slot is Slot.BLUE else self.green_more))

    def replicas(self, slot: Slot) -> dict[str, Address]:
        """By the names of their processes."""
        return {name_web_replica(number): address for number, address in enumerate(self.addresses(slot), start=1)}

    @property
    def slots(self) -> dict[Address, Slot]:
        return {address: slot for slot in Slot for address in self.addresses(slot)}

    def at(self, other: "WebSettings", *slots: Slot) -> "WebSettings":
        """With the addresses that `other` has for `slots`."""
        blue, green = (other if slot in slots else self for slot in (Slot.BLUE, Slot.GREEN))
        return replace(self, blue=blue.blue, blue_more=blue.blue_more, green=green.green, green_more=green.green_more)


class SecretSettings(Struct, frozen=True, kw_only=True):
    """More variables of a release, read at deploy as `env_file` is. `command` is a shell command that prints them, at
    most for `timeout_s`; `credentials` are names of variables → of systemd credentials."""

    command: str | None = None
    timeout_s: float = 30.0
    credentials: dict[str, str] = field(default_factory=dict)


class ReadinessSettings(Struct, frozen=True, kw_only=True):
    """When a candidate counts as ready: `successes_count` yeses in a row, over at least `min_time_s`,
    one every `interval_s`, all before `deadline_s`. `max_latency_s` bounds each single answer.

    `json_path` is dotted (`checks.db`), compared with `json_equals`. `headers` may replace the
    defaults `Host` (the site's) and `X-Forwarded-Proto` (the site's scheme).
    """

    kind: ProbeKind = ProbeKind.HTTP
    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    statuses: tuple[int, ...] = (200,)
    body_contains: str | None = None
    json_path: str | None = None
    json_equals: str | int | float | bool | None = None
    max_latency_s: float = 2.0
    command: str | None = None
    successes_count: int = 3
    min_time_s: float = 0.0
    interval_s: float = 0.25
    deadline_s: float = 60.0


class ProxySettings(Struct, frozen=True, kw_only=True):
    """`site` is the public URL (`https://shop.example`), `listen` where the proxy takes it on this
    machine (`127.0.0.1:443`): looks go there with the site's Host. `directory` is the folder of
    included files that Celadon owns, `config` the proxy's main configuration file, `binary` its
    program. `look_path` is asked through the proxy to see who answers. `preview`: whoever has the app's secret reaches
    the slot that is not live. `access_log` is a file that a syslog daemon writes for HAProxy; None: its lines are read
    from HAProxy itself."""

    kind: ProxyKind
    site: str
    listen: str
    switch: SwitchWay = SwitchWay.POINTER
    directory: str
    config: str
    binary: str
    admin: str | None = None
    access_log: str | None = None
    look_path: str = "/"
    looks_count: int = 3
    seen_timeout_s: float = 10.0
    preview: bool = False


class ObserveSettings(Struct, frozen=True, kw_only=True):
    """`max_error_rate` is the share of 5xx in the window that counts as a breach, judged only from
    `min_requests_count` requests on. An undecided window goes on up to `max_window_s`, None: it does not.
    `require_thresholds`: no deploy unless `max_error_rate`, `max_p95_s`, `max_p99_s` or `slo` is set.

    The rest is of the judge EVIDENCE: `slo` the promised share of good answers (0.999), `max_p95_s` and `max_p99_s`
    limits of the latency, `min_window_s` when a release may be blessed before `window_s` is over, `control_interval_s`
    between two questions to the old slot. None: not set."""

    judge: JudgeKind = JudgeKind.THRESHOLDS
    window_s: float = 60.0
    min_window_s: float | None = None
    max_window_s: float | None = None
    on_undecided: OnUndecided = OnUndecided.HOLD
    slo: float | None = None
    max_p95_s: float | None = None
    max_p99_s: float | None = None
    control_interval_s: float = 0.2
    interval_s: float = 0.25
    max_error_rate: float | None = None
    require_thresholds: bool = False
    min_requests_count: int = 20
    readiness_failures_count: int = 3
    bless: BlessMode = BlessMode.AUTO


class DrainWay(StrEnum):
    """SIGNAL: the app closes them itself when it is told to stop. LINGER: the deploy ends, and the slot lives on for
    them until they have ended."""

    WAIT = "wait"
    CLOSE_AFTER = "close-after"
    SIGNAL = "signal"
    LINGER = "linger"


class DrainPolicy(Struct, frozen=True, kw_only=True):
    """`after_s` is of CLOSE_AFTER, and of LINGER the limit."""

    way: DrainWay
    after_s: float = 0.0


class DrainSettings(Struct, frozen=True, kw_only=True):
    """After the bless the old slot's connections may end for `timeout_s`; then SIGTERM, `stop_timeout_s`,
    SIGKILL. What each kind is waited for within that time says its policy; streams that linger have their own limit."""

    timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    requests: DrainPolicy = DrainPolicy(way=DrainWay.WAIT)
    idle: DrainPolicy = DrainPolicy(way=DrainWay.CLOSE_AFTER, after_s=5.0)
    streams: DrainPolicy = DrainPolicy(way=DrainWay.WAIT)


class AssetSettings(Struct, frozen=True, kw_only=True):
    """`path` is a directory of the tree whose files visitors ask for below `url` (`/assets/`), each under a name that
    changes with its content. Those of the last `keep_count` releases stay reachable."""

    path: str
    url: str = "/assets/"
    keep_count: int = 5


class HookSettings(Struct, frozen=True, kw_only=True):
    """Shell commands, each run in the release's tree as the app's user."""

    pre_deploy: tuple[str, ...] = ()
    pre_switch: tuple[str, ...] = ()
    post_switch: tuple[str, ...] = ()
    post_deploy: tuple[str, ...] = ()
    on_failure: tuple[str, ...] = ()
    timeout_s: float = 60.0


class Settings(Struct, frozen=True, kw_only=True):
    """`user` is the system user that build, web process and hooks run as; None is the caller.
    `shared` are paths inside the tree that are links to `<root>/apps/<app>/shared/`."""

    app: AppName
    user: str | None = None
    source: SourceSettings
    build: BuildSettings = BuildSettings()
    shared: tuple[str, ...] = ()
    web: WebSettings
    secrets: SecretSettings = SecretSettings()
    readiness: ReadinessSettings = ReadinessSettings()
    proxy: ProxySettings
    switch: SwitchSettings = SwitchSettings()
    observe: ObserveSettings = ObserveSettings()
    drain: DrainSettings = DrainSettings()
    assets: AssetSettings | None = None
    hooks: HookSettings = HookSettings()
    journeys: tuple[Journey, ...] = ()
    keep_count: int = 5
    release: ReleaseCommand | None = None
    workers: tuple[WorkerSettings, ...] = ()

    def process(self, name: str) -> ProcessSettings:
        """Of one that is not in these settings any more: enough to end it."""
        stop_timeout_s = self.drain.stop_timeout_s
        if find_worker_name(name) == WEB:
            return ProcessSettings(command=self.web.command, stop_timeout_s=stop_timeout_s, listens=True)
        if name == RELEASE and self.release is not None:
            return ProcessSettings(
                command=self.release.command,
                stop_timeout_s=stop_timeout_s,
                is_once=True,
                service=self.release.service,
            )
        for worker in self.workers:
            if worker.name == find_worker_name(name):
                return ProcessSettings(
                    command=worker.command,
                    stop_timeout_s=worker.grace_s,
                    stop_signal=worker.stop_signal,
                    is_scheduled=bool(worker.schedule),
                    service=worker.service,
                )
        return ProcessSettings(command="", stop_timeout_s=stop_timeout_s)
