"""The private proxies of a Site: where their files lie, what their owner wrote into them, how they are started."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from celadon.drivers.proxies.haproxy_text import NAMES_REQUESTS

NGINX = "/usr/sbin/nginx"
CADDY = str(Path(sys.executable).parent / "caddy")
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin") or "haproxy"
TRAEFIK = str(Path(sys.executable).parent / "traefik")


class SiteProxy(Protocol):
    """`conf` is its directory, `main` its main file, `own` the owner's file that says where the site goes, `admin` as
    proxy.admin takes it. `judge` is its own checker of what lies there, None where it has none."""

    conf: Path
    main: Path
    own: Path
    directory: Path
    binary: str
    admin: str
    variables: Mapping[str, str]

    def write_first(self) -> None:
        """What it can start with while nothing of celadon's is there."""
        ...

    def write_routed(self) -> None:
        """The site goes through celadon's route."""
        ...

    def write_plain(self, upstream: int) -> None:
        """The site goes to a port of this machine, as its owner wrote it."""
        ...

    def argv(self) -> list[str]: ...

    def judge(self) -> list[str] | None: ...


class NginxOfSite:
    variables: Mapping[str, str] = MappingProxyType({})
    binary = NGINX

    def __init__(self, base: Path, *, port: int, sockets: Path) -> None:
        self.conf = base / "nginx"
        self.main = self.own = self.conf / "nginx.conf"
        self.directory = self.conf / "celadon"
        self.admin = f"unix/{sockets}/a.sock"
        self._port = port

    def write_first(self) -> None:
        self.write_routed()

    def write_routed(self) -> None:
        route = f"include {self.directory}/shop/route.conf*;"
        self._write(http=f"include {self.directory}/*/http.conf;", location=route)

    def write_plain(self, upstream: int) -> None:
        self._write(http="", location=f"proxy_pass http://127.0.0.1:{upstream};")

    def argv(self) -> list[str]:
        return [NGINX, "-c", str(self.main), "-p", str(self.conf), "-g", "daemon off;"]

    def judge(self) -> list[str]:
        return [NGINX, "-t", "-c", str(self.main), "-p", str(self.conf)]

    def _write(self, *, http: str, location: str) -> None:
        self.main.write_text(
            f"""\
user root;
worker_processes 2;
pid {self.conf}/nginx.pid;
error_log {self.conf}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    {http}
    server {{
        listen 127.0.0.1:{self._port};
        server_name shop.example;
        location / {{
            {location}
        }}
    }}
}}
"""
        )


class CaddyOfSite:
    binary = CADDY

    def __init__(self, base: Path, *, port: int, sockets: Path) -> None:
        self.conf = base / "caddy"
        self.main = self.own = self.conf / "Caddyfile"
        self.directory = self.conf / "celadon"
        self.admin = f"unix/{sockets}/a.sock"
        self.variables: Mapping[str, str] = {"XDG_DATA_HOME": str(base), "XDG_CONFIG_HOME": str(base)}
        self._port = port

    def write_first(self) -> None:
        self.write_routed()

    def write_routed(self) -> None:
        self._write("import celadon/shop*.caddy")

    def write_plain(self, upstream: int) -> None:
        self._write(f"reverse_proxy 127.0.0.1:{upstream}")

    def argv(self) -> list[str]:
        return [CADDY, "run", "--config", str(self.main), "--adapter", "caddyfile"]

    def judge(self) -> list[str]:
        return [CADDY, "validate", "--config", str(self.main), "--adapter", "caddyfile"]

    def _write(self, route: str) -> None:
        self.main.write_text(
            f"{{\n\tadmin {self.admin}\n\tauto_https off\n\tpersist_config off\n}}\n\n"
            f"http://shop.example:{self._port} {{\n\tbind 127.0.0.1\n\t{route}\n}}\n"
        )


class HaproxyOfSite:
    variables: Mapping[str, str] = MappingProxyType({})
    binary = HAPROXY

    def __init__(self, base: Path, *, port: int, sockets: Path) -> None:
        self.conf = base / "haproxy"
        self.main = self.own = self.conf / "haproxy.cfg"
        self.directory = self.conf / "celadon"
        self.admin = f"{sockets}/a.sock"
        self._master = f"{sockets}/m.sock"
        self._port = port

    def write_first(self) -> None:
        """A frontend that names a backend which is not there yet would not start."""
        self._write("http-request return status 404")

    def write_routed(self) -> None:
        lines = [*NAMES_REQUESTS, "log ring@celadon_shop local0", "default_backend celadon_shop"]
        self._write("\n    ".join(lines))

    def write_plain(self, upstream: int) -> None:
        self._write(f"default_backend app\n\nbackend app\n    server app 127.0.0.1:{upstream}")

    def argv(self) -> list[str]:
        return [HAPROXY, "-W", "-f", str(self.main), "-f", str(self.directory), "-S", self._master]

    def judge(self) -> list[str]:
        return [HAPROXY, "-c", "-f", str(self.main), "-f", str(self.directory)]

    def _write(self, site: str) -> None:
        self.main.write_text(
            f"global\n    stats socket {self.admin} mode 600 level admin\n\n"
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n\n"
            f"frontend web\n    bind 127.0.0.1:{self._port}\n    {site}\n"
        )


class TraefikOfSite:
    variables: Mapping[str, str] = MappingProxyType({})
    binary = TRAEFIK
    admin = ""

    def __init__(self, base: Path, *, port: int, sockets: Path) -> None:
        self.conf = base / "traefik"
        self.main = self.conf / "traefik.yml"
        self.directory = self.conf / "dynamic"
        self.own = self.directory / "site.yml"
        self._port = port
        self._sockets = sockets

    def write_first(self) -> None:
        self.write_routed()

    def write_routed(self) -> None:
        self._write_static()
        self.own.write_text(
            _ROUTER.format(more="\n      middlewares: [celadon-shop]", service="celadon-shop", services="")
        )

    def write_plain(self, upstream: int) -> None:
        self._write_static()
        services = f"  services:\n    app:\n      loadBalancer:\n        servers:\n          - url: http://127.0.0.1:{upstream}\n"
        self.own.write_text(_ROUTER.format(more="", service="app", services=services))

    def argv(self) -> list[str]:
        return [TRAEFIK, f"--configFile={self.main}"]

    def judge(self) -> None:
        return None

    def _write_static(self) -> None:
        """With a default certificate of its own, without which a switch takes 50 ms longer."""
        key, certificate = self.conf / "default.key", self.conf / "default.pem"
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=any"]
        made = ["openssl", "req", "-x509", *kind, "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(made, check=True, capture_output=True)
        (self.directory / "default.yml").write_text(
            f"tls:\n  stores:\n    default:\n      defaultCertificate:\n"
            f"        certFile: {certificate}\n        keyFile: {key}\n"
        )
        self.main.write_text(
            f"""\
global:
  checkNewVersion: false
  sendAnonymousUsage: false
entryPoints:
  web:
    address: 127.0.0.1:{self._port}
providers:
  providersThrottleDuration: 10ms
  file:
    directory: {self.directory}
accessLog:
  filePath: {self.conf}/access.log
  format: json
"""
        )


_ROUTER = """\
http:
  routers:
    shop:
      rule: Host(`shop.example`)
      entryPoints: [web]{more}
      service: {service}
{services}"""
Make = Callable[..., SiteProxy]
SITE_PROXIES: Mapping[str, Make] = MappingProxyType(
    {"nginx": NginxOfSite, "caddy": CaddyOfSite, "haproxy": HaproxyOfSite, "traefik": TraefikOfSite}
)
"""By proxy.type."""
