"""Every setting, once: where it stands, what it takes, what it is when nobody says, what it is for.

Validation, the JSON Schema, `celadon config` and docs/reference/settings.md are all made from this table.
"""

from typing import Any

from msgspec import Struct

from celadon.config import parse as kind
from celadon.config.journeys import JOURNEYS
from celadon.config.parse import Kind
from celadon.config.processes import PROCESSES, Processes
from celadon.model.settings import (
    AssetSettings,
    BlessMode,
    BuildSettings,
    ComposeSettings,
    ContainerSettings,
    DrainSettings,
    DrainWay,
    HookSettings,
    JudgeKind,
    ObserveSettings,
    OnUndecided,
    ProbeKind,
    ProxyKind,
    ReadinessSettings,
    RunnerKind,
    SecretSettings,
    SourceSettings,
    Strategy,
    SwitchSettings,
    SwitchWay,
    SystemdSettings,
)

REQUIRED = object()
DERIVED = object()
"""Defaults that are no values: one must be given, the other follows from other settings."""


class Setting(Struct, frozen=True, kw_only=True):
    """`key` is the dotted path in celadon.toml."""

    key: str
    kind: Kind
    default: Any
    doc: str

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(self.key.split("."))


def _setting(key: str, kind: Kind, default: Any, doc: str) -> Setting:
    return Setting(key=key, kind=kind, default=default, doc=doc)


_READY, _OBSERVE, _DRAIN, _BUILD = ReadinessSettings(), ObserveSettings(), DrainSettings(), BuildSettings()
_ASSETS = AssetSettings(path=".")
_LOOKS_COUNT, _SEEN_TIMEOUT_S = 3, 10.0
_SWITCH = SwitchSettings()
_SOURCE, _SYSTEMD, _HOOKS = SourceSettings(path="."), SystemdSettings(), HookSettings()
_CONTAINER, _COMPOSE, _SECRETS = ContainerSettings(), ComposeSettings(), SecretSettings()

SETTINGS: tuple[Setting, ...] = (
    _setting("app", kind.APP, REQUIRED, "The app's name: it names units, proxy files and the state directory."),
    _setting("user", kind.USER, None, "The system user that build, app and hooks run as. Default: whoever runs celadon."),
    _setting("keep", kind.whole(1, 1000), 5, "How many releases stay on disk. The live, the previous and the last blessed always do."),
    _setting("shared", kind.list_of(kind.INSIDE), (), "Paths that outlive releases: links into the app's shared directory."),
    _setting("journeys", JOURNEYS, (), "What a visitor does: each must pass on the candidate before the switch, and is run all through the window."),
    _setting("processes", PROCESSES, Processes(), "What the app runs beside `[web]`: a release command before the switch, and workers, each with the way that it hands over or with a schedule."),
    _setting("procfile", kind.PATH, None, "A Procfile beside this file, as `Procfile`: it says the commands of `web`, `release` and workers that this file does not say."),
    _setting("source.path", kind.PATH, ".", "The directory or git repository that releases are made of, relative to this file."),
    _setting("source.exclude", kind.TEXTS, _SOURCE.exclude, "Glob patterns left out of a directory release."),
    _setting("build.steps", kind.TEXTS, (), "Shell commands run in the new release, in order."),
    _setting("build.dependency_steps", kind.TEXTS, (), "Shell commands that fill the `reuse` directories; skipped when those could be copied."),
    _setting("build.reuse", kind.REUSE, {}, 'Directory → the lock file that governs it, as `venv = "requirements.txt"`: copied from the last release while the lock file is the same.'),
    _setting("build.timeout", kind.duration(1.0), _BUILD.timeout_s, "For all steps of one release together."),
    _setting("web.command", kind.TEXT, DERIVED, "The command that answers requests, on `$PORT` or `$LISTEN_SOCKET`. Replaces its shell. In a container: the words after the image, whose own command is the default."),
    _setting("web.ports", kind.PORTS, DERIVED, "The ports of blue and green. This or `sockets`."),
    _setting("web.sockets", kind.TRUTH, False, "Slots listen on Unix sockets instead of ports."),
    _setting("web.replicas", kind.whole(1, 32), 1, "How many of that process a slot runs, each at an address of its own: at consecutive ports from the slot's on, or at a socket each. nginx, Caddy and Traefik."),
    _setting("web.runner", kind.choice(RunnerKind), RunnerKind.PROCESS, "What runs the app: plain processes, systemd units, containers of Docker or Podman, or a Compose project."),
    _setting("web.env", kind.ENV, {}, "Plain variables. They belong to the release and come back with a rollback."),
    _setting("web.env_file", kind.PATH, None, "A file of NAME=value lines, relative to this file, read at deploy. For secrets. It is no part of the release's tree."),
    _setting("web.limits.memory", kind.SIZE, None, "`MemoryMax` (systemd), `--memory` (containers)."),
    _setting("web.limits.cpu", kind.PERCENT, None, "`CPUQuota` (systemd), `--cpus` (containers); 150% is one and a half cores."),
    _setting("web.limits.tasks", kind.whole(1, 1_000_000), None, "`TasksMax` (systemd), `--pids-limit` (containers)."),
    _setting("web.limits.open_files", kind.whole(16, 10_000_000), None, "`LimitNOFILE`, also for plain processes."),
    _setting("web.systemd.hardening_off", kind.TEXTS, (), "Hardening directives to leave out, by name."),
    _setting("web.systemd.restart_delay", kind.duration(0.1, 3600.0), _SYSTEMD.restart_delay_s, "`RestartSec`."),
    _setting("web.systemd.kill_mode", kind.word("mixed", "control-group", "process"), _SYSTEMD.kill_mode, "`KillMode`."),
    _setting("web.systemd.user_manager", kind.TRUTH, False, "Use the user's own systemd (`systemctl --user`)."),
    _setting("web.container.image", kind.IMAGE, None, "The image that runs, by name. One with `@sha256:` is pulled when it is not there; any other must be on this machine when the build steps are done."),
    _setting("web.container.build", kind.BELOW, None, "The directory of the release that the image is built from, by its Dockerfile; `.` is the release itself."),
    _setting("web.container.archive", kind.INSIDE, None, "The file of the release that `docker save` or `podman save` wrote. It is loaded, and not kept beside the image."),
    _setting("web.container.port", kind.whole(1, 65535), None, "The port that the app listens on inside. Default: the slot's own, as `$PORT` says."),
    _setting("web.container.network", kind.NETWORK, _CONTAINER.network, "`bridge`, `host`, or a network of the engine's that is there already."),
    _setting("web.container.volumes", kind.VOLUMES, {}, 'Path inside → what is there, as `"/data" = "data"`: a path in the app\'s shared directory, or an absolute one of this machine.'),
    _setting("web.container.init", kind.TRUTH, _CONTAINER.init, "A small init before the app, so that SIGTERM ends an app that does not say what it does on it. Off for images that bring their own."),
    _setting("web.container.options", kind.OPTIONS, (), 'Words for `docker run` or `podman run`, as `["--shm-size=1g"]`. What Celadon says itself is refused.'),
    _setting("web.compose.file", kind.INSIDE, _COMPOSE.file, "The Compose file, in the release. It is read and never written."),
    _setting("web.compose.service", kind.SERVICE, _COMPOSE.service, "The service that answers requests, at `web.container.port` inside."),
    _setting("web.compose.shared", kind.list_of(kind.SERVICE), (), 'Services that both slots use, as `["db", "redis"]`: each runs once for the app, is started where it is not up, and never stopped or made anew. Any other service of the file runs with each slot.'),
    _setting("secrets.command", kind.TEXT, None, "A shell command that prints NAME=value lines or one JSON object, as `sops -d --output-type dotenv secrets.env`. Run at deploy in `source.path` as the app's user."),
    _setting("secrets.timeout", kind.duration(0.1, 3600.0), _SECRETS.timeout_s, "For that command."),
    _setting("secrets.credentials", kind.CREDENTIALS, {}, 'Variable → the systemd credential that it holds, as `DATABASE_URL = "shop-database"`. Read at deploy, decrypted if need be.'),
    _setting("readiness.type", kind.choice(ProbeKind), _READY.kind, "How a candidate is asked whether it is ready."),
    _setting("readiness.method", kind.word("GET", "HEAD", "POST", "OPTIONS"), _READY.method, "Of the HTTP question."),
    _setting("readiness.path", kind.URL_PATH, _READY.path, "Should check what the app needs (its database), not answer a static 200."),
    _setting("readiness.headers", kind.HEADERS, {}, "Added to, or instead of, the site's Host and X-Forwarded-Proto."),
    _setting("readiness.status", kind.list_of(kind.whole(100, 599)), _READY.statuses, "Statuses that are a yes. Redirects are never followed."),
    _setting("readiness.body_contains", kind.TEXT, None, "Must stand in the body."),
    _setting("readiness.json_path", kind.TEXT, None, "A dotted path into the JSON body, as `checks.db`."),
    _setting("readiness.json_equals", kind.SCALAR, None, "What must stand there."),
    _setting("readiness.max_latency", kind.duration(0.001, 600.0), _READY.max_latency_s, "A slower answer is a no."),
    _setting("readiness.command", kind.TEXT, None, "For type `command`: exit code 0 is a yes."),
    _setting("readiness.successes", kind.whole(1, 1000), _READY.successes_count, "How many yeses in a row."),
    _setting("readiness.min_time", kind.duration(), _READY.min_time_s, "Over at least this long."),
    _setting("readiness.interval", kind.duration(0.05, 600.0), _READY.interval_s, "Between questions."),
    _setting("readiness.deadline", kind.duration(0.1), _READY.deadline_s, "Not ready by then: rejected."),
    _setting("proxy.type", kind.choice(ProxyKind), REQUIRED, "The proxy in front of the app."),
    _setting("proxy.switch", kind.choice(SwitchWay), SwitchWay.POINTER, "How the route moves: nginx pointer, symlink or include; caddy or haproxy pointer or reload; traefik pointer."),
    _setting("proxy.site", kind.SITE, REQUIRED, "The site's public URL: its Host and scheme are used for probes and looks."),
    _setting("proxy.listen", kind.LISTEN, DERIVED, "Where the proxy takes the site on this machine. Default 127.0.0.1:443 or :80 by the site's scheme."),
    _setting("proxy.directory", kind.PATH, DERIVED, "The directory of included files that Celadon owns; for Traefik the one that its file provider watches."),
    _setting("proxy.config", kind.PATH, DERIVED, "The proxy's main configuration file."),
    _setting("proxy.binary", kind.PATH, DERIVED, "The proxy's program."),
    _setting("proxy.admin", kind.PATH, None, "Caddy's admin address for reloads, as `unix//run/caddy/admin.sock`. HAProxy's runtime socket, where its `global` section does not name it."),
    _setting("proxy.access_log", kind.ABSOLUTE, None, "HAProxy: the file that syslog writes its lines into. Default: they are read from HAProxy itself. Traefik: its log, where its configuration names another path than this machine's."),
    _setting("proxy.look_path", kind.URL_PATH, "/", "Asked through the proxy, to see who answers. Cheap and public."),
    _setting("proxy.looks", kind.whole(1, 100), _LOOKS_COUNT, "Consecutive looks that the candidate must answer."),
    _setting("proxy.seen_timeout", kind.duration(0.5, 600.0), _SEEN_TIMEOUT_S, "A switch that is not seen by then is taken back; one whose every look gets a server error from the candidate, after a second."),
    _setting("proxy.preview", kind.TRUTH, False, "Whoever has the app's secret (`celadon preview`) reaches the slot that is not live."),
    _setting("switch.steps", kind.list_of(kind.SHARE), _SWITCH.steps, 'Shares of the traffic that the candidate gets one after the other, as `["5%", "25%", "100%"]`. The last is 100%.'),
    _setting("switch.hold", kind.duration(0.1), _SWITCH.hold_s, "How long each share below 100% is watched before the next."),
    _setting("switch.require_room", kind.TRUTH, _SWITCH.require_room, "Refuse a deploy where as much as the live release uses, of memory, tasks and connections, is not free. Off: it is a warning."),
    _setting("switch.connections", kind.TEXT, None, "A shell command that prints two numbers: how many connections to its database the live release has, and how many more may be opened. Counted as room for two."),
    _setting("switch.strategy", kind.choice(Strategy), _SWITCH.strategy, "`stop-first` is for an app that cannot run twice (a file with one writer, a licence): the live release is stopped before the candidate starts, and the site is down meanwhile."),
    _setting("observe.window", kind.duration(), _OBSERVE.window_s, "How long real traffic is watched before the bless."),
    _setting("observe.judge", kind.choice(JudgeKind), JudgeKind.EVIDENCE, "`evidence` weighs what users show against what the old slot does meanwhile; `thresholds` are the plain limits alone."),
    _setting("observe.min_window", kind.duration(), None, "With `evidence`: a release that is shown to be healthy is blessed from then on. Default: at the end of the window."),
    _setting("observe.max_window", kind.duration(), DERIVED, "A window that ends undecided goes on up to this long, unless the release is shown to be healthy before. Default: ten times the window."),
    _setting("observe.on_undecided", kind.choice(OnUndecided), _OBSERVE.on_undecided, "When nobody knows at the end: `hold` keeps the old slot hot and asks a person, `bless`, or `rollback`."),
    _setting("observe.slo", kind.RATE, None, "With `evidence`: the share of good answers that was promised, as 99.9%."),
    _setting("observe.max_p95", kind.duration(0.001, 600.0), None, "With `evidence`: more than 5% of the requests slower than this are a breach."),
    _setting("observe.max_p99", kind.duration(0.001, 600.0), None, "With `evidence`: more than 1% of the requests slower than this are a breach."),
    _setting("observe.control_interval", kind.duration(0.05, 60.0), _OBSERVE.control_interval_s, "With `evidence`: between two questions to the old slot, which is asked all through the window."),
    _setting("observe.interval", kind.duration(0.05, 60.0), _OBSERVE.interval_s, "Between looks at process and readiness. The log is read ten times a second, or as often where this is less."),
    _setting("observe.max_error_rate", kind.RATE, None, "A larger share of 5xx is a breach."),
    _setting("observe.require_thresholds", kind.TRUTH, True, "Refuse a deploy for which none of `max_error_rate`, `max_p95`, `max_p99` and `slo` is set."),
    _setting("observe.min_requests", kind.whole(1, 1_000_000), _OBSERVE.min_requests_count, "The share is judged from this many requests on."),
    _setting("observe.readiness_failures", kind.whole(1, 1000), _OBSERVE.readiness_failures_count, "Failed probes in a row that are a breach."),
    _setting("observe.bless", kind.choice(BlessMode), _OBSERVE.bless, "`manual` keeps the old slot hot until `celadon finalize`."),
    _setting("drain.timeout", kind.duration(), _DRAIN.timeout_s, "How long the old slot's connections may take to end, whatever their kind."),
    _setting("drain.stop_timeout", kind.duration(0.1, 3600.0), _DRAIN.stop_timeout_s, "Between SIGTERM and SIGKILL."),
    _setting("drain.requests", kind.drain_policy(DrainWay.WAIT, DrainWay.CLOSE_AFTER), _DRAIN.requests, "For requests in flight: `wait` for their answers, or for so long."),
    _setting("drain.idle", kind.drain_policy(DrainWay.WAIT, DrainWay.CLOSE_AFTER), _DRAIN.idle, "For connections that were answered and kept: not waited for once they have been quiet for so long."),
    _setting("drain.streams", kind.drain_policy(*DrainWay), _DRAIN.streams, "For WebSockets and event streams: `wait`, for so long, `signal`: the app closes them when it is told to stop, or `linger` for so long: the deploy ends, and the slot lives on for them."),
    _setting("assets.path", kind.INSIDE, None, "The directory of the release that has its hashed assets, as `public/assets`: those of older releases stay reachable. nginx and Caddy."),
    _setting("assets.url", kind.DIRECTORY_URL, _ASSETS.url, "Where visitors find them."),
    _setting("assets.keep", kind.whole(1, 1000), _ASSETS.keep_count, "Of how many releases, the new one among them. Not more than `keep`."),
    _setting("hooks.pre_deploy", kind.TEXTS, (), "Before the candidate starts; a failure rejects."),
    _setting("hooks.pre_switch", kind.TEXTS, (), "When the candidate is ready; a failure rejects."),
    _setting("hooks.post_switch", kind.TEXTS, (), "When the switch was seen; a failure is recorded."),
    _setting("hooks.post_deploy", kind.TEXTS, (), "After the bless; a failure is recorded."),
    _setting("hooks.on_failure", kind.TEXTS, (), "After a rejection or a way back."),
    _setting("hooks.timeout", kind.duration(0.1), _HOOKS.timeout_s, "For each command."),
)  # fmt: skip

BY_KEY = {setting.key: setting for setting in SETTINGS}
TABLES = frozenset(key.rpartition(".")[0] for key in BY_KEY if "." in key) | {"web"}
PROXY_DEFAULTS: dict[ProxyKind, dict[str, str]] = {
    ProxyKind.NGINX: {"directory": "/etc/nginx/celadon", "config": "/etc/nginx/nginx.conf", "binary": "nginx"},
    ProxyKind.CADDY: {"directory": "/etc/caddy/celadon", "config": "/etc/caddy/Caddyfile", "binary": "caddy"},
    ProxyKind.HAPROXY: {"directory": "/etc/haproxy/celadon", "config": "/etc/haproxy/haproxy.cfg", "binary": "haproxy"},
    ProxyKind.TRAEFIK: {
        "directory": "/etc/traefik/dynamic",
        "config": "/etc/traefik/traefik.yml",
        "binary": "traefik",
    },
}
SHARES: dict[ProxyKind, tuple[SwitchWay, ...]] = {
    ProxyKind.NGINX: (SwitchWay.POINTER,),
    ProxyKind.CADDY: (SwitchWay.POINTER,),
    ProxyKind.HAPROXY: (SwitchWay.POINTER,),
    ProxyKind.TRAEFIK: (SwitchWay.POINTER,),
}
"""The ways that can give the candidate a share of the traffic."""
REPLICAS = frozenset({ProxyKind.NGINX, ProxyKind.CADDY, ProxyKind.TRAEFIK})
"""The proxies that send a slot's requests to more than one address."""
WAYS: dict[ProxyKind, tuple[SwitchWay, ...]] = {
    ProxyKind.NGINX: (SwitchWay.POINTER, SwitchWay.SYMLINK, SwitchWay.INCLUDE),
    ProxyKind.CADDY: (SwitchWay.POINTER, SwitchWay.RELOAD),
    ProxyKind.HAPROXY: (SwitchWay.POINTER, SwitchWay.RELOAD),
    ProxyKind.TRAEFIK: (SwitchWay.POINTER,),
}
