"""Beside the site that includes our route: the same site as its owner wrote it, in the same running proxy.

Three sites then: *plain*, the owner's lines and their access log; *fixed*, our route without its pointer, one slot's
address in its place; and the route itself, the owner's log kept in both. So the cost of the pointer is told from that
of a second log line.
"""

import re
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from tests.contract.slot_server import free_port

from bench.proxies.stand import Stage
from celadon.app.compose import make_proxy
from celadon.model.names import Slot


class PlainSites(Struct, frozen=True, kw_only=True):
    """Ports."""

    plain: int
    fixed: int


Plain = Callable[[Stage], PlainSites]
"""Called before the route is installed, so that the install loads what it wrote."""


def write_plain_nginx(stage: Stage) -> PlainSites:
    from tests.contract.nginx_server import NginxStage

    assert isinstance(stage, NginxStage)
    sites = PlainSites(plain=free_port(), fixed=free_port())
    upstream = stage.settings.web.address(Slot.BLUE)
    headers = {
        "Host": "$http_host",
        "X-Real-IP": "$remote_addr",
        "X-Forwarded-For": "$proxy_add_x_forwarded_for",
        "X-Forwarded-Proto": "$scheme",
        "Upgrade": "$http_upgrade",
        "Connection": "$owner_connection",
    }
    lines = [f"proxy_pass http://{upstream};", "proxy_http_version 1.1;"]
    lines += [f"proxy_set_header {name} {value};" for name, value in headers.items()]
    own = f"access_log {stage.base}/owner.log combined;"
    http = ["map $http_upgrade $owner_connection { default upgrade; '' close; }"]
    for port, inside in ((sites.plain, " ".join(lines)), (sites.fixed, _fix_nginx(stage, str(upstream)))):
        location = f"location / {{ {inside} {own} }}"
        http.append(f"server {{ listen 127.0.0.1:{port}; server_name shop.example; {location} }}")
    stage.write_main(http="\n    ".join(http), server=own)
    return sites


def _fix_nginx(stage: Stage, upstream: str) -> str:
    """Our route's lines but those of the pointer."""
    texts = {file.path.name: file.text for file in make_proxy(stage.layout, stage.settings).render()}
    route = re.sub(r"^proxy_pass .*", f"proxy_pass http://{upstream};", texts["route.conf"], flags=re.MULTILINE)
    return re.sub(r"^(#|if |open_file_cache|disable_symlinks).*\n", "", route, flags=re.MULTILINE)


def write_plain_caddy(stage: Stage) -> PlainSites:
    """Caddy logs no request unless it is told to; its owner's site here does, as JSON."""
    sites = PlainSites(plain=free_port(), fixed=free_port())
    main = Path(stage.settings.proxy.config)
    upstream = stage.settings.web.address(Slot.BLUE)
    plain, beside, ours = (_owner_log(name, main.parent) for name in ("plain", "beside", "ours"))
    texts = {file.path.suffix: file.text for file in make_proxy(stage.layout, stage.settings).render()}
    fixed = re.sub(r"^(@\S+|reverse_proxy @\S+ .*) \{\n(.*\n)*?\}\n", "", texts[".route"], flags=re.MULTILINE)
    assert [line for line in fixed.splitlines() if "reverse_proxy " in line] == [f"reverse_proxy {upstream} {{"]
    log = texts[".log"].replace(f"log celadon_{stage.settings.app} ", "log extra ")
    log = log.replace(str(stage.layout.access_log), f"{main.parent}/extra.log")
    text = main.read_text().replace("\timport ", f"{ours}\timport ", 1)
    text += f"http://127.0.0.1:{sites.plain} {{\n{plain}\treverse_proxy {upstream}\n}}\n"
    text += f"http://127.0.0.1:{sites.fixed} {{\n{beside}{log}{fixed}}}\n"
    main.write_text(text)
    return sites


def _owner_log(name: str, directory: Path) -> str:
    """Caddy wants a name a site."""
    return f"\tlog {name} {{\n\t\toutput file {directory}/owner.log\n\t\tformat json\n\t}}\n"


def write_plain_haproxy(stage: Stage) -> PlainSites:
    """All log into rings, as ours does; nobody reads them meanwhile."""
    from tests.contract.haproxy_server import HaproxyStage

    assert isinstance(stage, HaproxyStage)
    sites = PlainSites(plain=free_port(), fixed=free_port())
    own, ours = "log ring@owner local0", f"log ring@celadon_{stage.settings.app} local0"
    neighbour = (
        f"\nbackend plain\n    server app {stage.settings.web.blue}\n\nring owner\n    format raw\n    maxlen 8192\n"
    )
    neighbour += "    size 1048576\n"
    for port, logs in ((sites.plain, [own]), (sites.fixed, [own, ours])):
        lines = ["mode http", f"bind 127.0.0.1:{port}", "option httplog", *logs, "default_backend plain"]
        neighbour += f"\nfrontend site{port}\n" + "".join(f"    {line}\n" for line in lines)
    stage.write_main(neighbour=neighbour, log=f"option httplog\n    {own}\n    {ours}")
    return sites
