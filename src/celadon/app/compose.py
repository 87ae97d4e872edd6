"""The composition root: settings in, a ready set of ports out. The one place that knows every driver's name."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from types import MappingProxyType

from msgspec.structs import replace

from celadon.contracts.adoption import Adoption, SiteFinder
from celadon.contracts.asking import Asking
from celadon.contracts.assets import Assets, NoAssets
from celadon.contracts.baselines import Baselines, NoBaselines
from celadon.contracts.control import Clock, Control
from celadon.contracts.counters import Counters, NoCounters
from celadon.contracts.images import Images, NoImages
from celadon.contracts.journal import Journal
from celadon.contracts.judge import Judge, MakeJudge
from celadon.contracts.probe import Probe
from celadon.contracts.proxy import Proxy
from celadon.contracts.releases import Releases
from celadon.contracts.runner import Runner
from celadon.contracts.sockets import Sockets
from celadon.deploy.run import Ports
from celadon.host.checkpoint import reached
from celadon.host.layout import Layout
from celadon.model.address import Address, TcpAddress
from celadon.model.names import Slot
from celadon.model.observed import Answer
from celadon.model.processes import RELEASE
from celadon.model.settings import (
    CONTAINER_RUNNERS,
    HOST_NETWORK,
    JudgeKind,
    ObserveSettings,
    ProxyKind,
    ReadinessSettings,
    RunnerKind,
    Settings,
)


def _nginx(layout: Layout, settings: Settings) -> Proxy:
    from celadon.drivers.proxies.nginx import NginxProxy

    return NginxProxy(layout, settings)


def _nginx_sites(config: Path, binary: str) -> SiteFinder:
    from celadon.drivers.proxies.nginx_sites import NginxSites

    return NginxSites(config, binary)


def _nginx_adoption(layout: Layout, settings: Settings) -> Adoption:
    from celadon.drivers.proxies.nginx_adopt import NginxAdoption

    return NginxAdoption(layout, settings)


def _caddy(layout: Layout, settings: Settings) -> Proxy:
    from celadon.drivers.proxies.caddy import CaddyProxy

    return CaddyProxy(layout, settings)


def _haproxy(layout: Layout, settings: Settings) -> Proxy:
    from celadon.drivers.proxies.haproxy import HaproxyProxy

    return HaproxyProxy(layout, settings)


def _traefik(layout: Layout, settings: Settings) -> Proxy:
    from celadon.drivers.proxies.traefik import TraefikProxy

    return TraefikProxy(layout, settings)


def _traefik_sites(config: Path, binary: str) -> SiteFinder:
    from celadon.drivers.proxies.traefik_sites import TraefikSites

    return TraefikSites(config, binary)


def _traefik_adoption(layout: Layout, settings: Settings) -> Adoption:
    from celadon.drivers.proxies.traefik_adopt import TraefikAdoption

    return TraefikAdoption(layout, settings)


def _caddy_sites(config: Path, binary: str) -> SiteFinder:
    from celadon.drivers.proxies.caddy_command import is_json
    from celadon.drivers.proxies.caddy_json_sites import JsonSites
    from celadon.drivers.proxies.caddy_sites import CaddySites

    return JsonSites(config, binary) if is_json(config) else CaddySites(config, binary)


def _caddy_adoption(layout: Layout, settings: Settings) -> Adoption:
    from celadon.drivers.proxies.caddy_adopt import CaddyAdoption
    from celadon.drivers.proxies.caddy_command import is_json
    from celadon.drivers.proxies.caddy_json_adopt import CaddyJsonAdoption

    adoption = CaddyJsonAdoption if is_json(Path(settings.proxy.config)) else CaddyAdoption
    return adoption(layout, settings)


def _haproxy_sites(config: Path, binary: str) -> SiteFinder:
    from celadon.drivers.proxies.haproxy_sites import HaproxySites

    return HaproxySites(config, binary)


def _haproxy_adoption(layout: Layout, settings: Settings) -> Adoption:
    from celadon.drivers.proxies.haproxy_adopt import HaproxyAdoption

    return HaproxyAdoption(layout, settings)


def _process(layout: Layout, settings: Settings) -> Runner:
    from celadon.drivers.runners.process import ProcessRunner

    return ProcessRunner(layout, settings)


def _systemd(layout: Layout, settings: Settings) -> Runner:
    from celadon.drivers.runners.systemd import SystemdRunner

    return SystemdRunner(layout, settings)


def _docker(layout: Layout, settings: Settings) -> Runner:
    from celadon.drivers.runners.docker import DockerRunner

    return DockerRunner(layout, settings)


def _podman(layout: Layout, settings: Settings) -> Runner:
    from celadon.drivers.runners.podman import PodmanRunner

    return PodmanRunner(layout, settings)


def _compose(layout: Layout, settings: Settings) -> Runner:
    from celadon.drivers.runners.compose import ComposeRunner

    return ComposeRunner(layout, settings)


def _no_counters(_layout: Layout, _settings: Settings) -> Counters:
    return NoCounters()


def _haproxy_counters(layout: Layout, settings: Settings) -> Counters:
    from celadon.drivers.proxies.haproxy_files import HaproxyFiles
    from celadon.drivers.proxies.haproxy_text import backend_name, server_name
    from celadon.drivers.traffic.haproxy_counters import make_haproxy_counters

    servers = {server_name(layout.app, slot): slot for slot in Slot}
    ask = HaproxyFiles(layout, settings).process.ask
    return make_haproxy_counters(ask, backend=backend_name(layout.app), servers=servers)


def _caddy_counters(layout: Layout, settings: Settings) -> Counters:
    from celadon.drivers.proxies.caddy_files import SnippetFiles
    from celadon.drivers.proxies.caddy_metrics import find_metrics
    from celadon.drivers.traffic.caddy_counters import make_caddy_counters

    files = SnippetFiles(layout, settings)
    metrics = find_metrics(layout, settings, files=files)
    if metrics is None:
        return NoCounters()
    return make_caddy_counters(metrics.read_route, metrics.read, errors_coded=files.version.recent)


def _traefik_counters(layout: Layout, settings: Settings) -> Counters:
    from celadon.drivers.proxies.traefik_check import read_running_static
    from celadon.drivers.proxies.traefik_metrics import find_metrics, read_metrics
    from celadon.drivers.proxies.traefik_text import name_service
    from celadon.drivers.traffic.traefik_counters import make_traefik_counters
    from celadon.model.errors import StepError

    try:
        target = find_metrics(read_running_static(settings))
    except StepError:
        target = None
    if target is None:
        return NoCounters()
    services = {f"{name_service(layout.app, slot)}@file": slot for slot in Slot}
    return make_traefik_counters(partial(read_metrics, target), services=services)


def _thresholds() -> MakeJudge:
    from celadon.observe.threshold import ThresholdJudge

    def make(settings: ObserveSettings, candidate: Slot, *, journeys: bool) -> Judge:  # noqa: ARG001  of evidence only
        return ThresholdJudge(settings, candidate)

    return make


def _evidence() -> MakeJudge:
    from celadon.observe.rstar import RStarJudge
    from celadon.observe.rule import make_rule

    def make(settings: ObserveSettings, candidate: Slot, *, journeys: bool) -> Judge:
        return RStarJudge(make_rule(settings, journeys=journeys), candidate)

    return make


PROXIES: Mapping[ProxyKind, Callable[[Layout, Settings], Proxy]] = MappingProxyType(
    {
        ProxyKind.NGINX: _nginx,
        ProxyKind.CADDY: _caddy,
        ProxyKind.HAPROXY: _haproxy,
        ProxyKind.TRAEFIK: _traefik,
    }
)
FINDERS: Mapping[ProxyKind, Callable[[Path, str], SiteFinder]] = MappingProxyType(
    {
        ProxyKind.NGINX: _nginx_sites,
        ProxyKind.CADDY: _caddy_sites,
        ProxyKind.HAPROXY: _haproxy_sites,
        ProxyKind.TRAEFIK: _traefik_sites,
    }
)
"""By kind: given the main configuration file and the program."""
ADOPTIONS: Mapping[ProxyKind, Callable[[Layout, Settings], Adoption]] = MappingProxyType(
    {
        ProxyKind.NGINX: _nginx_adoption,
        ProxyKind.CADDY: _caddy_adoption,
        ProxyKind.HAPROXY: _haproxy_adoption,
        ProxyKind.TRAEFIK: _traefik_adoption,
    }
)
RUNNERS: Mapping[RunnerKind, Callable[[Layout, Settings], Runner]] = MappingProxyType(
    {
        RunnerKind.PROCESS: _process,
        RunnerKind.SYSTEMD: _systemd,
        RunnerKind.DOCKER: _docker,
        RunnerKind.PODMAN: _podman,
        RunnerKind.COMPOSE: _compose,
    }
)
COUNTERS: Mapping[ProxyKind, Callable[[Layout, Settings], Counters]] = MappingProxyType(
    {
        ProxyKind.NGINX: _no_counters,
        ProxyKind.CADDY: _caddy_counters,
        ProxyKind.HAPROXY: _haproxy_counters,
        ProxyKind.TRAEFIK: _traefik_counters,
    }
)
JUDGES: Mapping[JudgeKind, Callable[[], MakeJudge]] = MappingProxyType(
    {JudgeKind.THRESHOLDS: _thresholds, JudgeKind.EVIDENCE: _evidence}
)
"""Called before anything is done: what the window needs is loaded by then."""


def make_proxy(layout: Layout, settings: Settings) -> Proxy:
    return PROXIES[settings.proxy.kind](layout, settings)


def make_runner(layout: Layout, settings: Settings) -> Runner:
    """With what was adopted in a slot in the place of what we would run there."""
    from celadon.drivers.runners.adopted import AdoptedRunner, read_adopted

    runner = _make_web_runner(layout, settings)
    return AdoptedRunner(layout, runner) if read_adopted(layout) else runner


def _make_web_runner(layout: Layout, settings: Settings) -> Runner:
    if not (settings.web.blue_more or settings.web.green_more or layout.list_web_replicas()):
        return RUNNERS[settings.web.runner](layout, settings)
    from celadon.drivers.runners.replicated import ReplicatedRunner

    return ReplicatedRunner(layout, settings.web, _make_replica_of(layout, settings))


def _make_replica_of(layout: Layout, settings: Settings) -> Callable[[str], Runner]:
    return cache(lambda process: RUNNERS[settings.web.runner](replace(layout, process=process), settings))


def make_runner_of(layout: Layout, settings: Settings) -> Callable[[str], Runner]:
    """The runner of each other process of the app, made when it is first asked for."""
    return cache(lambda process: _make_runner_of(replace(layout, process=process), settings))


def _make_runner_of(layout: Layout, settings: Settings) -> Runner:
    if settings.web.runner is not RunnerKind.SYSTEMD or layout.process == RELEASE:
        return RUNNERS[settings.web.runner](layout, settings)
    from celadon.drivers.runners.systemd import SystemdRunner
    from celadon.drivers.runners.timer import TimerRunner

    return TimerRunner(layout, settings, SystemdRunner(layout, settings))


def make_sockets(layout: Layout, settings: Settings, runner: Runner) -> Sockets:
    """`runner` is that of the slots."""
    from celadon.host.sockets import KernelSockets

    machine = KernelSockets(proxy=TcpAddress(port=int(settings.proxy.listen.rpartition(":")[2])))
    if settings.web.runner not in CONTAINER_RUNNERS or settings.web.container.network == HOST_NETWORK:
        return machine
    from celadon.drivers.runners.published import PublishedSockets

    replica_of = _make_replica_of(layout, settings)

    def runner_at(slot: Slot, address: Address) -> Runner:
        replicas = settings.web.replicas(slot)
        if len(replicas) == 1:
            return runner
        return replica_of(next(name for name, each in replicas.items() if each == address))

    return PublishedSockets(machine, runner_at, settings)


def make_images(layout: Layout, settings: Settings) -> Images:
    if settings.web.runner not in CONTAINER_RUNNERS:
        return NoImages()
    if settings.web.runner is RunnerKind.COMPOSE:
        from celadon.drivers.images.compose import ComposeImages

        return ComposeImages(settings)
    from celadon.drivers.images.engine import EngineImages
    from celadon.host.engine import Engine

    return EngineImages(Engine(settings.web.runner.value), layout.app, settings.web.container)


def make_assets(layout: Layout, settings: Settings, releases: Releases) -> Assets:
    if settings.assets is None:
        return NoAssets()
    from celadon.drivers.releases.assets import AssetUnion

    return AssetUnion(layout, settings.assets, list_numbers=releases.numbers)


def make_baselines(layout: Layout, settings: Settings, proxy: Proxy) -> Baselines:
    if settings.observe.judge is JudgeKind.THRESHOLDS:
        return NoBaselines()
    from celadon.app.baseline import LogBaselines

    return LogBaselines(layout, settings.observe, open_traffic=proxy.traffic)


def make_question(layout: Layout, settings: Settings, slot: Slot) -> Callable[[], Answer]:
    """The readiness question to one slot, with the variables that it has at the moment of asking; to each of its
    replicas in turn."""
    from celadon.drivers.probes.table import make_probe
    from celadon.host.environment import read_env

    probe = make_probe(settings, env=lambda: read_env(layout.slot(slot) / "env"))
    turns = cycle(settings.web.addresses(slot))
    return lambda: probe.ask(next(turns), timeout_s=settings.readiness.max_latency_s)


def keep_asking_slot(layout: Layout, settings: Settings, slot: Slot) -> Asking:
    from celadon.drivers.probes.asking import ThreadAsking

    return ThreadAsking(make_question(layout, settings, slot), interval_s=settings.observe.control_interval_s)


def make_ports(
    layout: Layout, settings: Settings, *, journal: Journal, clock: Clock, control: Control, candidate: Slot
) -> Ports:
    from celadon.app.record import find_edited
    from celadon.drivers.hooks import ShellHooks
    from celadon.drivers.journeys.table import JourneysByKind
    from celadon.drivers.probes.asking import ThreadAsking
    from celadon.drivers.probes.process import make_ask_process
    from celadon.drivers.probes.table import make_probe
    from celadon.drivers.proxies.headers import LOOK_HEADER
    from celadon.drivers.proxies.left_line import leave_line
    from celadon.drivers.releases.store import ReleaseStore
    from celadon.host.environment import read_env
    from celadon.host.files import read_age_s
    from celadon.host.look_mark import new_look, read_secret
    from celadon.host.memory import KernelHost

    def make_probe_on(slot: Slot, readiness: ReadinessSettings) -> Probe:
        return make_probe(replace(settings, readiness=readiness), env=lambda: read_env(layout.slot(slot) / "env"))

    def ask_on(slot: Slot, readiness: ReadinessSettings) -> Asking:
        return keep_asking_slot(layout, replace(settings, readiness=readiness), slot)

    proxy, runner = make_proxy(layout, settings), make_runner(layout, settings)
    releases = ReleaseStore(layout, owner=settings.user, images=make_images(layout, settings))
    return Ports(
        proxy=proxy,
        runner=runner,
        runner_of=make_runner_of(layout, settings),
        probe=make_probe_on(candidate, settings.readiness),
        make_probe=make_probe_on,
        journeys=JourneysByKind(settings, new_look=lambda: {LOOK_HEADER: new_look(read_secret(layout.look_mark))}),
        assets=make_assets(layout, settings, releases),
        sockets=make_sockets(layout, settings, runner),
        host=KernelHost(),
        releases=releases,
        journal=journal,
        hooks=ShellHooks(settings, layout),
        clock=clock,
        control=control,
        make_counters=lambda: COUNTERS[settings.proxy.kind](layout, settings),
        leave_line=lambda: leave_line(layout, settings.proxy),
        make_judge=JUDGES[settings.observe.judge](),
        baselines=make_baselines(layout, settings, proxy),
        ask_on=ask_on,
        keep_asking=ThreadAsking,
        ask_process=make_ask_process(layout, user=settings.user),
        read_age_s=read_age_s,
        reached=reached,
        find_edited=lambda: find_edited(layout),
    )
