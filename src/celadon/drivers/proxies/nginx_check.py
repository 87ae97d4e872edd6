"""What stands in the way of a switch in nginx, found before anything is touched."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from celadon.contracts.proxy import RenderedFile
from celadon.drivers.proxies.edited import find_edits
from celadon.drivers.proxies.look import Sight
from celadon.drivers.proxies.nginx_config import Config, Directive, find_include, flatten, read_config, unquote, walk
from celadon.drivers.proxies.nginx_process import NginxProcess
from celadon.drivers.proxies.nginx_stage import Judged, judge_live, judge_staged
from celadon.host.layout import Layout
from celadon.host.text import render_diff
from celadon.model.observed import Finding, FindingLevel, problem
from celadon.model.settings import Settings


def check_nginx(
    *,
    layout: Layout,
    settings: Settings,
    process: NginxProcess,
    rendered: Sequence[RenderedFile],
    directory: Path,
    look: Callable[[], Sight],
) -> Sequence[Finding]:
    """All findings at once; only a missing program or a broken configuration hide the rest."""
    main = Path(settings.proxy.config)
    texts = {file.path: file.text for file in rendered}
    access_log = layout.access_log
    # nginx makes the logs of a configuration that it judges, but not their directories
    access_log.parent.mkdir(parents=True, exist_ok=True)
    judged = _judge(settings.proxy.binary, main, texts=texts, directory=directory, scratch=layout.home)
    if judged.missing:
        return [problem("nginx", f"{settings.proxy.binary} could not be run: {judged.said}", fix="apt install nginx")]
    if not judged.ok:
        return [problem("config", judged.said, fix=f"mend it; {settings.proxy.binary} -t -c {main} must pass")]
    config = read_config(main, instead=texts)
    found = [
        *_check_running(settings, process),
        *_check_included(config, settings=settings, directory=directory),
        *find_edits(layout, rendered),
        *_check_readable(config, layout.pointer),
        *_check_error_page(config, route=directory / "route.conf", access_log=access_log, app=settings.app),
    ]
    if not found and _is_installed(rendered):
        found = [*_check_line(look(), access_log=access_log)]
    fine = Finding(level=FindingLevel.OK, subject="nginx", text=f"runs; {main} is valid and includes the route")
    return found or [fine]


def _is_installed(rendered: Sequence[RenderedFile]) -> bool:
    return all(file.path.exists() and file.path.read_text(errors="replace") == file.text for file in rendered)


def _check_line(sight: Sight, *, access_log: Path) -> Iterator[Finding]:
    """The window is as good as the log that it reads: a request of ours must arrive there. No problem yet: a text that
    waits to be loaded is loaded by the next deploy, which refuses where its line does not come then."""
    if sight.worker is None:
        yield Finding(
            level=FindingLevel.WARNING,
            subject="access log",
            text=f"a request of celadon's own did not arrive: {sight.detail}",
            fix=f"see that proxy.look_path reaches the route, and that nginx writes {access_log}",
        )


def _judge(binary: str, main: Path, *, texts: Mapping[Path, str], directory: Path, scratch: Path) -> Judged:
    """A site that already includes our files cannot be valid before they are first installed: it is then judged
    with them in place."""
    judged = judge_live(binary, main)
    if judged.ok or judged.missing or f'open() "{directory}/' not in judged.said:
        return judged
    route = directory / "current.conf"
    instead = {**texts, route: texts[directory / "none.conf"]} if directory / "none.conf" in texts else texts
    return judge_staged(binary, main, instead=instead, scratch=scratch)


def _check_running(settings: Settings, process: NginxProcess) -> Iterator[Finding]:
    if process.read_master_pid() is None:
        yield problem(
            "nginx",
            f"no nginx runs with {settings.proxy.config}",
            fix=f"{settings.proxy.binary} -c {settings.proxy.config}",
        )


def _check_included(config: Config, *, settings: Settings, directory: Path) -> Iterator[Finding]:
    missing = [name for name in ("http.conf", "route.conf") if find_include(config, directory / name) is None]
    if missing:
        text = f"{config.main} does not include {' and '.join(str(directory / name) for name in missing)}"
        yield problem("site", text, fix=_render_fix(config, settings=settings, directory=directory, missing=missing))


def _check_readable(config: Config, pointer: Path) -> Iterator[Finding]:
    """`if (-f …)` is silently false where the workers may not look."""
    users = [unquote(found.args[0]) for found in flatten(config.directives) if found.name == "user" and found.args]
    if os.geteuid() != 0 or users[:1] == ["root"]:
        return
    for place in [*reversed(pointer.parents), pointer]:
        if place.exists() and not place.stat().st_mode & 0o001:
            yield problem("pointer", f"nginx's workers cannot look into {place}", fix=f"chmod o+x {place}")
            return


def _check_error_page(config: Config, *, route: Path, access_log: Path, app: str) -> Iterator[Finding]:
    """An error page is an internal redirect: nginx's own 502 is then logged by the page's location, not by ours."""
    found = find_include(config, route)
    levels = [[*flatten(block.block or ())] for block in reversed(found[1])] if found else []
    pages = next((pages for level in levels if (pages := [page for page in level if page.name == "error_page"])), [])
    hiding = [page for page in pages if {"502", "503", "504"} & set(page.args)]
    logged = any(
        log.name == "access_log" and log.file != route and log.args[:1] == (str(access_log),)
        for log, _ in walk(config.directives)
    )
    if hiding and not logged:
        yield Finding(
            level=FindingLevel.WARNING,
            subject="error page",
            text=f"{hiding[0].file}:{hiding[0].line} sends 502 to {hiding[0].args[-1]}, which the app's log misses: "
            "failures of a dead slot would not be counted",
            fix=f"in that location: access_log {access_log} celadon_{app.replace('-', '_')};",
        )


def _render_fix(config: Config, *, settings: Settings, directory: Path, missing: Sequence[str]) -> str:
    """The change to the site as a diff; the bare lines where its place cannot be found."""
    http_line = f"include {directory.parent}/*/http.conf;"
    route_line = f"include {directory}/route.conf;"
    host = settings.proxy.site.partition("://")[2].split("/", 1)[0].rsplit(":", 1)[0]
    edits: dict[Path, list[tuple[int, str]]] = {}
    http = next((found for found in config.directives if found.name == "http"), None)
    location = _find_location(config, host)
    if (http is None and "http.conf" in missing) or (location is None and "route.conf" in missing):
        lines = {"http.conf": f"in http {{ }}: {http_line}", "route.conf": f"in the location of {host}: {route_line}"}
        return "\n".join(lines[name] for name in missing)
    if "http.conf" in missing and http:
        edits.setdefault(http.file, []).append((_opening_line(config, http), f"    {http_line}"))
    if "route.conf" in missing and location:
        edits.setdefault(location.file, []).append((_opening_line(config, location), f"        {route_line}"))
    dropped = _find_proxy_pass(location) if "route.conf" in missing and location else []
    return "\n".join(
        _render_edit(config, file, lines, dropped=dropped if location and file == location.file else [])
        for file, lines in edits.items()
    )


def _find_location(config: Config, host: str) -> Directive | None:
    """`location /` of the server that answers for `host`."""
    for directive, above in walk(config.directives):
        server = next((block for block in reversed(above) if block.name == "server"), None)
        if directive.name == "location" and directive.args == ("/",) and server and _answers(server, host):
            return directive
    return None


def _answers(server: Directive, host: str) -> bool:
    return any(found.name == "server_name" and host in found.args for found in flatten(server.block or ()))


def _find_proxy_pass(location: Directive) -> list[int]:
    """Lines of the location's own proxy_pass: ours takes its place."""
    return [found.line for found in location.block or () if found.name == "proxy_pass" and found.file == location.file]


def _opening_line(config: Config, block: Directive) -> int:
    """The line of the block's opening brace, counted from 1."""
    text = config.texts[block.file]
    return text.count("\n", 0, text.index("{", block.end)) + 1


def _render_edit(config: Config, file: Path, inserts: Sequence[tuple[int, str]], *, dropped: Sequence[int]) -> str:
    after = dict(inserts)
    lines: list[str] = []
    for number, line in enumerate(config.texts[file].splitlines(), start=1):
        if number not in dropped:
            lines.append(line)
        if number in after:
            lines.append(after[number])
    return render_diff(file, config.texts[file], "\n".join(lines) + "\n")
