"""The private proxies of a Site: where their files lie, what their owner wrote into them, how they are started."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

NGINX = "/usr/sbin/nginx"
CADDY = str(Path(sys.executable).parent / "caddy")
TRAEFIK = str(Path(sys.executable).parent / "traefik")


class SiteProxy(Protocol):
    """`conf` is its directory, `main` its main file, `admin` as proxy.admin takes it."""

    conf: Path
    main: Path
    directory: Path
    binary: str
    admin: str
    variables: Mapping[str, str]

    def write_routed(self) -> None:
        """The site goes through celadon's route."""
        ...

    def write_plain(self, upstream: int) -> None:
        """The site goes to a port of this machine, as its owner wrote it."""
        ...

    def argv(self) -> list[str]: ...


class NginxOfSite:
    def __init__(self, base: Path, *, port: int) -> None:
        self.conf = base / "nginx"
        self.main = self.conf / "nginx.conf"
        self.directory = self.conf / "celadon"
        self.binary = NGINX
        self.admin = f"unix/{base}/admin.sock"
        self.variables: Mapping[str, str] = {}
        self._port = port

    def write_routed(self) -> None:
        self._write(
            http=f"include {self.directory}/*/http.conf;", location=f"include {self.directory}/shop/route.conf*;"
        )

    def write_plain(self, upstream: int) -> None:
        self._write(http="", location=f"proxy_pass http://127.0.0.1:{upstream};")

    def argv(self) -> list[str]:
        return [NGINX, "-c", str(self.main), "-p", str(self.conf), "-g", "daemon off;"]

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
    def __init__(self, base: Path, *, port: int) -> None:
        self.conf = base / "caddy"
        self.main = self.conf / "Caddyfile"
        self.directory = self.conf / "celadon"
        self.binary = CADDY
        self.admin = f"unix/{base}/admin.sock"
        self.variables: Mapping[str, str] = {"XDG_DATA_HOME": str(base), "XDG_CONFIG_HOME": str(base)}
        self._port = port

    def write_routed(self) -> None:
        self._write("import celadon/shop*.caddy")

    def write_plain(self, upstream: int) -> None:
        self._write(f"reverse_proxy 127.0.0.1:{upstream}")

    def argv(self) -> list[str]:
        return [CADDY, "run", "--config", str(self.main), "--adapter", "caddyfile"]

    def _write(self, route: str) -> None:
        self.main.write_text(
            f"{{\n\tadmin {self.admin}\n\tauto_https off\n\tpersist_config off\n}}\n\n"
            f"http://shop.example:{self._port} {{\n\tbind 127.0.0.1\n\t{route}\n}}\n"
        )


class TraefikOfSite:
    """Its file provider watches `directory`, where the owner's own file lies too."""

    def __init__(self, base: Path, *, port: int) -> None:
        self.conf = base / "traefik"
        self.main = self.conf / "traefik.yml"
        self.directory = self.conf / "dynamic"
        self.binary = TRAEFIK
        self.admin = f"unix/{base}/admin.sock"
        self.variables: Mapping[str, str] = {}
        self._port = port

    def write_routed(self) -> None:
        self._write("middlewares: [celadon-shop]\n      service: celadon-shop")

    def write_plain(self, upstream: int) -> None:
        server = f"{{url: 'http://127.0.0.1:{upstream}'}}"
        self._write(f"service: shop\n  services:\n    shop: {{loadBalancer: {{servers: [{server}]}}}}")

    def argv(self) -> list[str]:
        return [TRAEFIK, f"--configFile={self.main}"]

    def _write(self, route: str) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.main.write_text(
            f"""\
global: {{checkNewVersion: false, sendAnonymousUsage: false}}
entryPoints: {{web: {{address: "127.0.0.1:{self._port}"}}}}
accessLog: {{filePath: {self.conf}/access.log, format: json}}
providers:
  providersThrottleDuration: 10ms
  file: {{directory: {self.directory}}}
"""
        )
        (self.directory / "site.yml").write_text(
            f"http:\n  routers:\n    shop:\n      rule: Host(`shop.example`)\n      {route}\n"
        )


Make = Callable[..., SiteProxy]
SITE_PROXIES: Mapping[str, Make] = MappingProxyType(
    {"nginx": NginxOfSite, "caddy": CaddyOfSite, "traefik": TraefikOfSite}
)
"""By proxy.type."""
