"""Beside the site that includes our route: the same site as its owner wrote it, in the same running proxy.

Three sites then: *plain*, the owner's lines and their access log; *logged*, the same with what our route logs;
and the route itself, the owner's log kept. So the cost of the pointer is told from that of a second log line.
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
    """Ports. `logged` 0: there is none."""

    plain: int
    logged: int = 0


Plain = Callable[[Stage], PlainSites]
"""Called before the route is installed, so that the install loads what it wrote."""


def write_plain_nginx(stage: Stage) -> PlainSites:
    from tests.contract.nginx_server import NginxStage

    assert isinstance(stage, NginxStage)
    sites = PlainSites(plain=free_port(), logged=free_port())
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
    http = [_extra_format(stage), "map $http_upgrade $owner_connection { default upgrade; '' close; }"]
    for port, logs in ((sites.plain, [own]), (sites.logged, [own, f"access_log {stage.base}/extra.log bench_extra;"])):
        inside = " ".join(lines + logs)
        http.append(f"server {{ listen 127.0.0.1:{port}; server_name shop.example; location / {{ {inside} }} }}")
    stage.write_main(http="\n    ".join(http), server=own)
    return sites


def _extra_format(stage: Stage) -> str:
    """Our log line, with the variables that only our route sets replaced by what they would say."""
    texts = [file.text for file in make_proxy(stage.layout, stage.settings).render()]
    found = re.search(r"log_format \S+ (.*?);\n", "\n".join(texts), re.DOTALL)
    assert found is not None
    return f"log_format bench_extra {re.sub(r'[$]celadon_[a-z_]+', 'blue', found[1])};"


def write_plain_caddy(stage: Stage) -> PlainSites:
    """Caddy logs no request unless it is told to; its owner's site here does, as JSON."""
    sites = PlainSites(plain=free_port(), logged=free_port())
    main = Path(stage.settings.proxy.config)
    upstream = stage.settings.web.address(Slot.BLUE)
    plain, beside, ours = (_owner_log(name, main.parent) for name in ("plain", "beside", "ours"))
    [rendered] = [file.text for file in make_proxy(stage.layout, stage.settings).render()]
    logged = re.sub(r"^reverse_proxy \S+", f"reverse_proxy {upstream}", rendered, count=1, flags=re.MULTILINE)
    logged = logged.replace(f"log celadon_{stage.settings.app} ", "log extra ")
    logged = logged.replace(str(stage.layout.access_log), f"{main.parent}/extra.log")
    text = main.read_text().replace("\timport ", f"{ours}\timport ", 1)
    text += f"http://127.0.0.1:{sites.plain} {{\n{plain}\treverse_proxy {upstream}\n}}\n"
    text += f"http://127.0.0.1:{sites.logged} {{\n{beside}{logged}}}\n"
    main.write_text(text)
    return sites


def _owner_log(name: str, directory: Path) -> str:
    """Caddy wants a name a site."""
    return f"\tlog {name} {{\n\t\toutput file {directory}/owner.log\n\t\tformat json\n\t}}\n"


def write_plain_haproxy(stage: Stage) -> PlainSites:
    """All log into rings, as ours does; nobody reads them meanwhile."""
    from tests.contract.haproxy_server import HaproxyStage

    assert isinstance(stage, HaproxyStage)
    sites = PlainSites(plain=free_port(), logged=free_port())
    own, ours = "log ring@owner local0", f"log ring@celadon_{stage.settings.app} local0"
    neighbour = (
        f"\nbackend plain\n    server app {stage.settings.web.blue}\n\nring owner\n    format raw\n    maxlen 8192\n"
    )
    neighbour += "    size 1048576\n"
    for port, logs in ((sites.plain, [own]), (sites.logged, [own, ours])):
        lines = ["mode http", f"bind 127.0.0.1:{port}", "option httplog", *logs, "default_backend plain"]
        neighbour += f"\nfrontend site{port}\n" + "".join(f"    {line}\n" for line in lines)
    stage.write_main(neighbour=neighbour, log=f"option httplog\n    {own}\n    {ours}")
    return sites
