"""What stands in the way of a switch in Traefik, and what makes one slow, found before anything is touched."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from celadon.contracts.proxy import RenderedFile
from celadon.drivers.proxies.edited import SUBJECT, find_edits
from celadon.drivers.proxies.look import wait_until
from celadon.drivers.proxies.traefik_dynamic import (
    DynamicFile,
    Named,
    find_named,
    find_users,
    list_middlewares,
    read_dynamic,
)
from celadon.drivers.proxies.traefik_files import TraefikFiles
from celadon.drivers.proxies.traefik_look import TraefikLooks
from celadon.drivers.proxies.traefik_metrics import find_metrics
from celadon.drivers.proxies.traefik_static import StaticConfig, read_static
from celadon.drivers.proxies.traefik_text import name_service
from celadon.drivers.traffic.traefik_lines import LOOKED, TraefikTraffic
from celadon.host.commands import run_command
from celadon.host.layout import Layout
from celadon.host.look_http import parse_look_target
from celadon.host.processes import read_arguments
from celadon.host.sockets import KernelSockets
from celadon.model.address import TcpAddress
from celadon.model.errors import StepError
from celadon.model.observed import Finding, FindingLevel, problem, warning
from celadon.model.settings import Settings

_THROTTLE_S = 0.1
_VERSION_TIMEOUT_S = 10.0
_LINE_TIMEOUT_S = 2.0


def read_running_static(settings: Settings) -> StaticConfig:
    """Of its file, or of the flags of whoever listens. Raises StepError."""
    target = parse_look_target(site=settings.proxy.site, listen=settings.proxy.listen, path="/")
    pids = KernelSockets().listening_pids(TcpAddress(host=target.address[0], port=target.address[1])) or ()
    arguments = next((words for pid in pids if (words := read_arguments(pid))), [])
    return read_static(Path(settings.proxy.config), arguments=arguments)


def find_access_log(settings: Settings, *, listen: TcpAddress) -> Path | None:
    """Where Traefik writes it, by `proxy.access_log` or by its own configuration; None where it writes none that can
    be read. A path that is not absolute is one of the running Traefik's own directory."""
    from celadon.host.processes import read_directory

    if settings.proxy.access_log is not None:
        return Path(settings.proxy.access_log)
    try:
        log = read_running_static(settings).access_log
    except StepError:
        return None
    if log is None or not log.path:
        return None
    if Path(log.path).is_absolute():
        return Path(log.path)
    pids = KernelSockets().listening_pids(listen) or ()
    return next((Path(read_directory(pid)) / log.path for pid in pids), None)


def check_traefik(
    layout: Layout,
    settings: Settings,
    *,
    files: TraefikFiles,
    looks: TraefikLooks,
    rendered: Sequence[RenderedFile],
    listen: TcpAddress,
) -> Sequence[Finding]:
    """All findings at once; only a missing program or a static configuration that cannot be read hide the rest."""
    binary = settings.proxy.binary
    version = run_command([binary, "version"], timeout_s=_VERSION_TIMEOUT_S)
    if not version.ok:
        return [problem("traefik", f"{binary} could not be run: {version.output}", fix="install Traefik 3")]
    if "Version:      3." not in version.stdout:
        return [problem("traefik", f"{binary} is not Traefik 3: {version.stdout.splitlines()[0]}")]
    try:
        static = read_running_static(settings)
    except StepError as error:
        return [problem("config", error.what, fix=error.next_command)]
    dynamic = [file for file in read_dynamic(files.directory) if file.path != files.link]
    found = [
        *_check_running(settings, looks),
        *_check_provider(static, files.directory),
        *_check_files(dynamic),
        *_check_routers(dynamic, settings=settings, static=static, link=files.link),
        *find_edits(layout, rendered),
        *_check_link(files),
        *_check_readable(files, layout.pointer),
        *_check_speed(static, dynamic),
        *_check_api(static, previewing=settings.proxy.preview),
        *_check_log(settings, static=static, looks=looks, listen=listen),
    ]
    fine = Finding(level=FindingLevel.OK, subject="traefik", text=f"runs; {static.origin} watches {files.directory}")
    return found if any(each.level is not FindingLevel.OK for each in found) else [fine, *found]


def _check_running(settings: Settings, looks: TraefikLooks) -> Iterator[Finding]:
    if looks.is_refused():
        fix = f"{settings.proxy.binary} --configFile={settings.proxy.config}"
        yield problem("traefik", f"nothing listens on {settings.proxy.listen}", fix=fix)


def _check_provider(static: StaticConfig, directory: Path) -> Iterator[Finding]:
    lines = f"providers:\n  file:\n    directory: {directory}\n    watch: true"
    if not static.directory:
        instead = f"one file, {static.filename}" if static.filename else "no file provider"
        yield problem("file provider", f"{static.origin} has {instead}; a route needs a watched directory", fix=lines)
    elif not Path(static.directory).is_absolute() or Path(static.directory).resolve() != directory.resolve():
        text = f"{static.origin} watches {static.directory}, proxy.directory is {directory}"
        yield problem("file provider", text, fix=lines)
    elif not static.watch:
        yield problem("file provider", f"{static.origin} does not watch {directory}", fix=lines)


def _check_files(dynamic: Sequence[DynamicFile]) -> Iterator[Finding]:
    for file in dynamic:
        if file.why:
            text = (
                f"{file.why}; while Traefik cannot read one file it takes no change, and after a restart none of them"
            )
            yield problem("config", text, fix=f"mend {file.path}")


def _check_routers(
    dynamic: Sequence[DynamicFile], *, settings: Settings, static: StaticConfig, link: Path
) -> Iterator[Finding]:
    service = name_service(settings.app)
    users = find_users(dynamic, settings.app)
    if not users:
        yield problem("site", f"no router in {link.parent} has the service {service}", fix=_render_lines(service))
    for router in users:
        yield from _check_router(router, dynamic, service=service, static=static)


def _check_router(
    router: Named, dynamic: Sequence[DynamicFile], *, service: str, static: StaticConfig
) -> Iterator[Finding]:
    where = f"{router.file.path}: router {router.name}"
    if service not in list_middlewares(router.body, dynamic):
        text = f"{where} does not take our headers off what visitors send"
        yield problem("site", text, fix=f"    {router.name}:\n+     middlewares: [{service}]")
    if str(router.body.get("ruleSyntax", static.rule_syntax)) == "v2":
        yield problem("site", f"{where} has a rule in the syntax of Traefik 2", fix="write it in that of Traefik 3")
    unknown = [name for name in router.body.get("entryPoints") or () if name not in static.entry_points]
    if unknown:
        yield problem("site", f"{where} is on an entry point that {static.origin} does not have: {unknown[0]}")
    known = find_named(dynamic, "middlewares")
    for name in list_middlewares(router.body, dynamic) - {service}:
        if "@" not in name and name not in known and not any(file.templated for file in dynamic):
            yield problem("site", f"{where} has the middleware {name}, which is defined nowhere")


def _check_link(files: TraefikFiles) -> Iterator[Finding]:
    if files.is_displaced():
        text = f"{files.link} is a file of somebody else's; celadon would put a link to the live route there"
        yield problem(SUBJECT, text, fix=f"mv {files.link} {files.link}.old")


def _check_readable(files: TraefikFiles, pointer: Path) -> Iterator[Finding]:
    """What Traefik's user cannot read makes it refuse the whole directory."""
    owner = files.find_owner()
    if owner is None:
        return
    closed = [place for place in [*pointer.parents, pointer] if place.exists() and not place.stat().st_mode & 0o001]
    if closed:
        text = f"Traefik runs as user {owner.uid}, who cannot look into {closed[-1]}"
        yield problem("pointer", text, fix=f"chmod o+x {' '.join(map(str, closed))}")
    if os.geteuid() != 0 and owner.gid not in os.getgroups():
        text = f"Traefik runs as user {owner.uid}, and only root can let its group {owner.gid} read the route"
        yield problem("pointer", text, fix="run celadon as root, or as a member of that group")


def _check_speed(static: StaticConfig, dynamic: Sequence[DynamicFile]) -> Iterator[Finding]:
    if static.throttle_s > _THROTTLE_S:
        yield warning(
            "throttle",
            f"Traefik takes one change in {static.throttle_s:g} s: with the default of 2 s a switch was seen after up "
            "to 914 ms (measured), with 10 ms after up to 7",
            fix="providers:\n  providersThrottleDuration: 10ms",
        )
    stores = find_named(dynamic, "stores", protocol="tls")
    if "default" not in stores and not any(file.templated for file in dynamic):
        yield warning(
            "default certificate",
            "without one of its own Traefik makes an RSA certificate at each change: a switch took 51 ms (median) "
            "instead of 4 (measured)",
            fix="tls:\n  stores:\n    default:\n      defaultCertificate:\n"
            "        certFile: /etc/traefik/default.pem\n        keyFile: /etc/traefik/default.key",
        )


def _check_api(static: StaticConfig, *, previewing: bool) -> Iterator[Finding]:
    if not static.api:
        return
    text = "Traefik's API shows all rules, and with them the secrets of looks and previews, to whoever may ask it"
    if static.api_insecure and previewing:
        yield problem("api", f"{text}: with `api.insecure` everybody", fix="api:\n  insecure: false")
    else:
        yield warning("api", text, fix="leave `api` out of the static configuration")


def _check_log(
    settings: Settings, *, static: StaticConfig, looks: TraefikLooks, listen: TcpAddress
) -> Iterator[Finding]:
    lines = "accessLog:\n  filePath: /var/log/traefik/access.log\n  format: json"
    log = static.access_log
    path = find_access_log(settings, listen=listen)
    if log is None or path is None:
        seen = "visitors by Traefik's counters only" if find_metrics(static) else "probes and processes, but no visitor"
        text = f"{static.origin} writes no access log to a file: the window sees {seen}"
        yield warning("access log", text, fix=lines)
        return
    if log.hidden:
        yield warning("access log", f"accessLog.{log.hidden} keeps requests or their slots out of it", fix=lines)
    if log.buffered_count:
        text = f"lines come {log.buffered_count} at a time (accessLog.bufferingSize), so the window sees visitors late"
        yield warning("access log", text, fix="accessLog:\n  bufferingSize: 0")
    elif looks.look().served is not None and not _arrives(settings, path, looks):
        text = f"a request through {settings.proxy.listen} left no line in {path}"
        yield warning("access log", text, fix=f"ls -l {path}  # it must be readable; `kill -USR1` reopens a moved one")


def _arrives(settings: Settings, path: Path, looks: TraefikLooks) -> bool:
    slots = {str(address): slot for address, slot in settings.web.slots.items()}
    traffic = TraefikTraffic(path, app=settings.app, slots=slots)
    try:
        looks.look()
        return wait_until(lambda: any(hit.look == LOOKED for hit in traffic.read()), timeout_s=_LINE_TIMEOUT_S)
    finally:
        traffic.close()


def _render_lines(service: str) -> str:
    return f"in the site's router:\n+     middlewares: [{service}]\n+     service: {service}"
