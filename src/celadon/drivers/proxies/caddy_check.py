"""What stands in the way of a switch in Caddy, found before anything is touched."""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from celadon.contracts.proxy import RenderedFile
from celadon.drivers.proxies.caddy_command import last_words
from celadon.drivers.proxies.caddy_config import CaddyConfig, find_admin, read_config
from celadon.drivers.proxies.caddy_disk import read_text
from celadon.drivers.proxies.caddy_files import SnippetFiles
from celadon.drivers.proxies.caddy_json_check import check_json, read_admin
from celadon.drivers.proxies.caddy_log import check_log, find_renamed
from celadon.drivers.proxies.caddy_look import CaddyLooks
from celadon.drivers.proxies.caddy_stage import judge_staged
from celadon.drivers.proxies.caddy_tokens import Directive, walk
from celadon.drivers.proxies.edited import find_edits
from celadon.host.layout import Layout
from celadon.host.sockets import KernelSockets
from celadon.model.address import TcpAddress
from celadon.model.observed import Finding, FindingLevel, problem
from celadon.model.settings import Settings, SwitchWay

_DELETED = " (deleted)"
_NO_PROGRAM = (126, 127)
_ADMIN = "unix//run/caddy/admin.sock"
_RELOAD_COST = "23 of 103,560 requests failed in 22 reloads; keep-alive connections are closed"


def check_caddy(
    *, layout: Layout, settings: Settings, files: SnippetFiles, looks: CaddyLooks, listen: TcpAddress
) -> Sequence[Finding]:
    """All findings at once; only a missing program or a broken configuration hide the rest."""
    rendered = files.render()
    judged = judge_staged(settings.proxy, rendered, scratch=layout.home)
    if judged.exit_code in _NO_PROGRAM:
        text = f"{settings.proxy.binary} could not be run: {judged.output}"
        return [problem("caddy", text, fix="install Caddy from its own package repository, or Debian's")]
    if not judged.ok:
        fix = f"mend it; {settings.proxy.binary} validate --config {files.main} must pass"
        return [problem("config", last_words(judged), fix=fix)]
    own = files.render_own()
    found = [
        *_check_running(settings),
        *_check_config(settings, files=files, looks=looks, rendered=rendered),
        *find_edits(layout, [RenderedFile(path=path, text=text) for path, text in own.items()]),
        *check_log(layout.access_log, listen=listen),
        *_check_share(files),
        *_check_secret(settings, listen=listen),
        *_check_logged(files, looks, listen=listen),
        *_tell_cost(settings),
    ]
    fine = Finding(level=FindingLevel.OK, subject="caddy", text=f"runs; {files.main} is valid")
    return [*found, fine] if all(each.level is FindingLevel.OK for each in found) else found


def _check_config(
    settings: Settings, *, files: SnippetFiles, looks: CaddyLooks, rendered: Mapping[Path, str]
) -> Iterator[Finding]:
    if files.json is not None:
        yield from check_json(files.json, files, app=settings.app)
        yield from _check_admin(read_admin(files.json), fix=f'"admin": {{"listen": "{_ADMIN}"}}')
        return
    config = read_config(files.main, instead=rendered)
    yield from _check_included(config, files=files, looks=looks)
    yield from _check_own_log(config, files)
    yield from _check_admin(find_admin(config), fix=f"{{\n\tadmin {_ADMIN}\n}}")


def _check_running(settings: Settings) -> Iterator[Finding]:
    host, _, port = settings.proxy.listen.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
    except OSError as error:
        text = f"nothing answers on {settings.proxy.listen}: {error}"
        yield problem("caddy", text, fix=f"caddy start --config {settings.proxy.config}")


def _check_included(config: CaddyConfig, *, files: SnippetFiles, looks: CaddyLooks) -> Iterator[Finding]:
    read = {path for each in _imports(config) for path in config.files_of(each)}
    if files.route not in read:
        text = f"{files.main} does not import {files.snippet}"
        yield problem("site", text, fix=f"{looks.target.host} {{\n+\timport {files.snippet}\n}}")
    elif files.log not in read:
        text = f"{files.main} does not import {files.log}"
        yield problem("site", text, fix=f"at the site's own level, in no handle: import {files.log}")


def _imports(config: CaddyConfig) -> Iterator[Directive]:
    for directives in config.directives.values():
        yield from (each for each in walk(directives) if each.name == "import" and each.args)


def _check_share(files: SnippetFiles) -> Iterator[Finding]:
    if files.shared and not files.version.recent:
        text = f"Caddy {files.version.text} cannot give a share of the traffic without a reload; 2.8 and later can"
        yield problem("shares", text, fix='switch.steps = ["100%"]')


def _check_secret(settings: Settings, *, listen: TcpAddress) -> Iterator[Finding]:
    """The snippet then is for Caddy and its owner only; a Caddy that may not read it would not start again."""
    uids = KernelSockets().listening_uids(listen) or frozenset()
    if settings.proxy.preview and os.geteuid() != 0 and uids - {0, os.geteuid()}:
        text = "a preview's secret can be given to a Caddy of another user by root only"
        yield problem("preview", text, fix="run celadon as root, or set proxy.preview = false")


def _check_own_log(config: CaddyConfig, files: SnippetFiles) -> Iterator[Finding]:
    """Before 2.8 Caddy keeps one log a site, and the last one that is written wins."""
    if files.version.recent:
        return
    for directives in config.directives.values():
        for site in directives:
            inside = [*walk(site.block or ())]
            ours = any(_reads_log(config, each, files) for each in inside)
            log = next((each for each in site.block or () if each.name == "log"), None)
            if ours and log is not None:
                where = f"{log.file}:{log.line}"
                text = (
                    f"{where}: Caddy {files.version.text} keeps one log a site; the app's takes the place of this one"
                )
                yield Finding(
                    level=FindingLevel.WARNING, subject="access log", text=text, fix=f"read {files.access_log}"
                )


def _reads_log(config: CaddyConfig, each: Directive, files: SnippetFiles) -> bool:
    return each.name == "import" and bool({files.snippet, files.log} & {*config.files_of(each)})


def _check_logged(files: SnippetFiles, looks: CaddyLooks, *, listen: TcpAddress) -> Iterator[Finding]:
    """Proof on one request that the line arrives, once the route is installed."""
    if read_text(files.route) is None or looks.is_refused():
        return
    sight = looks.look()
    if sight.status is None or sight.config:
        return
    renamed = find_renamed(files.access_log, listen=listen)
    if renamed is not None:
        text = f"Caddy goes on writing to {renamed}: {files.access_log} was put away, as by logrotate"
        back = f"mv {renamed} {files.access_log}  # and leave it to Caddy, which rolls it itself, or use copytruncate"
        yield problem("access log", text, fix="restart Caddy" if renamed.name.endswith(_DELETED) else back)
    else:
        text = f"{sight.detail}: {files.access_log} has no line of it"
        yield problem(
            "access log", text, fix="celadon deploy  # loads the route; or set proxy.look_path to a path of it"
        )


def _check_admin(address: str, *, fix: str) -> Iterator[Finding]:
    """Any web page that a browser on this machine opens can post to a port of it (CVE-2026-27589)."""
    if address == "off" or address.startswith("unix/"):
        return
    yield Finding(
        level=FindingLevel.WARNING,
        subject="admin",
        text=f"Caddy's admin API listens on {address}, which every user and, by a browser, any page can reach",
        fix=f'{fix}\nand in celadon.toml: admin = "{_ADMIN}"',
    )


def _tell_cost(settings: Settings) -> Iterator[Finding]:
    if settings.proxy.switch is SwitchWay.RELOAD:
        yield Finding(
            level=FindingLevel.OK, subject="switch", text=f"a reload of Caddy loses requests: measured {_RELOAD_COST}"
        )
