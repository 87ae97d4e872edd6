"""Checked values of celadon.toml → settings. Pure."""

from pathlib import Path
from typing import Any

from celadon.config.table import PROXY_DEFAULTS
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.names import Slot
from celadon.model.processes import name_web_replica
from celadon.model.settings import (
    AssetSettings,
    BuildSettings,
    ComposeSettings,
    ContainerSettings,
    DrainSettings,
    HookSettings,
    LimitSettings,
    ObserveSettings,
    ProxySettings,
    ReadinessSettings,
    ReusedDirectory,
    SecretSettings,
    Settings,
    SourceSettings,
    SwitchSettings,
    SystemdSettings,
    WebSettings,
)

_WINDOWS_COUNT = 10
"""An undecided window goes on up to so many times its length, where nothing else is set."""


def build_settings(values: dict[str, Any], *, base: Path, root: Path) -> Settings:
    """`values` of a checked file: key → value. `base` is what its relative paths are relative to. Fills in the values
    that follow from others."""
    get = values.__getitem__
    return Settings(
        app=get("app"),
        user=get("user"),
        source=SourceSettings(path=str((base / get("source.path")).resolve()), exclude=get("source.exclude")),
        build=BuildSettings(
            steps=get("build.steps"),
            dependency_steps=get("build.dependency_steps"),
            reuse=tuple(
                ReusedDirectory(directory=directory, lock_file=lock_file)
                for directory, lock_file in get("build.reuse").items()
            ),
            timeout_s=get("build.timeout"),
        ),
        shared=get("shared"),
        web=_build_web(values, base=base, root=root),
        secrets=SecretSettings(
            command=get("secrets.command"),
            timeout_s=get("secrets.timeout"),
            credentials=get("secrets.credentials"),
        ),
        readiness=_build_readiness(values),
        proxy=_build_proxy(values, base=base),
        switch=SwitchSettings(
            steps=get("switch.steps"),
            hold_s=get("switch.hold"),
            require_room=get("switch.require_room"),
            connections=get("switch.connections"),
            strategy=get("switch.strategy"),
        ),
        observe=ObserveSettings(
            judge=get("observe.judge"),
            window_s=get("observe.window"),
            min_window_s=get("observe.min_window"),
            max_window_s=get("observe.max_window") or _WINDOWS_COUNT * get("observe.window"),
            on_undecided=get("observe.on_undecided"),
            slo=get("observe.slo"),
            max_p95_s=get("observe.max_p95"),
            max_p99_s=get("observe.max_p99"),
            control_interval_s=get("observe.control_interval"),
            interval_s=get("observe.interval"),
            max_error_rate=get("observe.max_error_rate"),
            require_thresholds=get("observe.require_thresholds"),
            min_requests_count=get("observe.min_requests"),
            readiness_failures_count=get("observe.readiness_failures"),
            bless=get("observe.bless"),
        ),
        drain=DrainSettings(
            timeout_s=get("drain.timeout"),
            stop_timeout_s=get("drain.stop_timeout"),
            requests=get("drain.requests"),
            idle=get("drain.idle"),
            streams=get("drain.streams"),
        ),
        assets=_build_assets(values),
        hooks=HookSettings(
            pre_deploy=get("hooks.pre_deploy"),
            pre_switch=get("hooks.pre_switch"),
            post_switch=get("hooks.post_switch"),
            post_deploy=get("hooks.post_deploy"),
            on_failure=get("hooks.on_failure"),
            timeout_s=get("hooks.timeout"),
        ),
        journeys=get("journeys"),
        keep_count=get("keep"),
        release=get("processes").release,
        workers=get("processes").workers,
    )


def _build_web(values: dict[str, Any], *, base: Path, root: Path) -> WebSettings:
    get = values.__getitem__
    env_file = get("web.env_file")
    (blue, *blue_more), (green, *green_more) = (_addresses(values, slot, root=root) for slot in (Slot.BLUE, Slot.GREEN))
    return WebSettings(
        command=get("web.command") or "",
        blue=blue,
        green=green,
        blue_more=tuple(blue_more),
        green_more=tuple(green_more),
        runner=get("web.runner"),
        env=get("web.env"),
        env_file=None if env_file is None else str((base / env_file).absolute()),
        limits=LimitSettings(
            memory_bytes=get("web.limits.memory"),
            cpu_percent=get("web.limits.cpu"),
            tasks_count=get("web.limits.tasks"),
            open_files_count=get("web.limits.open_files"),
        ),
        systemd=SystemdSettings(
            hardening_off=get("web.systemd.hardening_off"),
            restart_delay_s=get("web.systemd.restart_delay"),
            kill_mode=get("web.systemd.kill_mode"),
            user_manager=get("web.systemd.user_manager"),
        ),
        container=ContainerSettings(
            image=get("web.container.image"),
            build=get("web.container.build"),
            archive=get("web.container.archive"),
            port=get("web.container.port"),
            network=get("web.container.network"),
            volumes=get("web.container.volumes"),
            init=get("web.container.init"),
            options=get("web.container.options"),
        ),
        compose=ComposeSettings(
            file=get("web.compose.file"), service=get("web.compose.service"), shared=get("web.compose.shared")
        ),
    )


def _addresses(values: dict[str, Any], slot: Slot, *, root: Path) -> list[Address]:
    count, app = values["web.replicas"], values["app"]
    if values["web.sockets"]:
        first: Address = SocketAddress(socket_path(root, app, slot))
    else:
        first = TcpAddress(values["web.ports"][0 if slot is Slot.BLUE else 1])
    return list_addresses(first, app, slot, count=count, root=root)


def _build_proxy(values: dict[str, Any], *, base: Path) -> ProxySettings:
    get = values.__getitem__
    derived = PROXY_DEFAULTS[get("proxy.type")] | {
        "listen": "127.0.0.1:443" if get("proxy.site").startswith("https") else "127.0.0.1:80"
    }
    for name, value in derived.items():
        if values[f"proxy.{name}"] is None:
            values[f"proxy.{name}"] = value
    for name in ("directory", "config"):
        values[f"proxy.{name}"] = str((base / values[f"proxy.{name}"]).absolute())
    return ProxySettings(
        kind=get("proxy.type"),
        site=get("proxy.site"),
        listen=get("proxy.listen"),
        switch=get("proxy.switch"),
        directory=get("proxy.directory"),
        config=get("proxy.config"),
        binary=get("proxy.binary"),
        admin=get("proxy.admin"),
        access_log=get("proxy.access_log"),
        look_path=get("proxy.look_path"),
        looks_count=get("proxy.looks"),
        seen_timeout_s=get("proxy.seen_timeout"),
        preview=get("proxy.preview"),
    )


def _build_assets(values: dict[str, Any]) -> AssetSettings | None:
    path = values["assets.path"]
    if path is None:
        return None
    return AssetSettings(path=path, url=values["assets.url"], keep_count=values["assets.keep"])


def _build_readiness(values: dict[str, Any]) -> ReadinessSettings:
    get = values.__getitem__
    return ReadinessSettings(
        kind=get("readiness.type"),
        method=get("readiness.method"),
        path=get("readiness.path"),
        headers=get("readiness.headers"),
        statuses=get("readiness.status"),
        body_contains=get("readiness.body_contains"),
        json_path=get("readiness.json_path"),
        json_equals=get("readiness.json_equals"),
        max_latency_s=get("readiness.max_latency"),
        command=get("readiness.command"),
        successes_count=get("readiness.successes"),
        min_time_s=get("readiness.min_time"),
        interval_s=get("readiness.interval"),
        deadline_s=get("readiness.deadline"),
    )


def list_addresses(first: Address, app: str, slot: Slot, *, count: int, root: Path) -> list[Address]:
    """Of a slot with `count` replicas: consecutive ports, or a socket in the directory of each."""
    if isinstance(first, TcpAddress):
        return [TcpAddress(port, first.host) for port in range(first.port, first.port + count)]
    more = (SocketAddress(socket_path(root, app, slot, number=number)) for number in range(2, count + 1))
    return [first, *more]


def socket_path(root: Path, app: str, slot: Slot, *, number: int = 1) -> str:
    """Of a replica, in the directory of its process."""
    directory = "slots" if number == 1 else f"processes/{name_web_replica(number)}"
    return str(root / "apps" / app / directory / slot.value / "app.sock")
