"""A private Caddy with two slots behind it: own directories, admin on a Unix socket, ended by pid."""

import json
import os
import pwd
import socket
import subprocess
import sys
import time
from pathlib import Path

from celadon.drivers.proxies.caddy import CaddyProxy
from celadon.host.layout import Layout
from celadon.model.names import AppName
from celadon.model.settings import (
    ProxyKind,
    ProxySettings,
    Settings,
    SourceSettings,
    SwitchSettings,
    SwitchWay,
)
from tests.contract.slot_server import free_port
from tests.contract.slot_stage import SlotStage

CADDY = str(Path(sys.executable).parent / "caddy")
CADDIES = {"2.11": CADDY, "2.6": "/usr/bin/caddy"}
"""A recent one, and the one that Debian 12 has."""


class CaddyStage(SlotStage):
    """Implements ProxyStage. `host` is the site's name where visitors do not say its port, `metrics` the option that
    turns them on, with a newline. `user` is whom Caddy runs as, us by default; then we must be root."""

    sticky = True
    config = "Caddyfile"
    adapter: tuple[str, ...] = ("--adapter", "caddyfile")

    def __init__(
        self,
        base: Path,
        *,
        way: SwitchWay,
        sockets: bool = False,
        user: str | None = None,
        caddy: str = "2.11",
        steps: tuple[int, ...] = (100,),
        preview: bool = False,
        replicas: int = 1,
        guarded: bool = True,
        host: str = "",
        metrics: str = "",
    ) -> None:
        self.base = base
        self.binary = CADDIES[caddy]
        self.steps = steps
        self.preview = preview
        self.guarded = guarded
        self.metrics = metrics
        self.user = pwd.getpwnam(user) if user is not None else None
        # Its old server resets what the kernel has queued for it: 23 of 103,560 requests in 22 reloads.
        self.reloads = self.loses = way is not SwitchWay.POINTER
        self.port = free_port()
        self.host = host or f"127.0.0.1:{self.port}"
        self.conf = base / "conf"
        (self.conf / "celadon").mkdir(parents=True)
        self.main = self.conf / self.config
        self.layout = Layout(base / "state", AppName("shop-one"))
        self.layout.home.mkdir(parents=True)
        self.slots = self._open_slots(sockets=sockets, replicas=replicas)
        self.settings = self.settings_for(way)
        self.proxy = CaddyProxy(self.layout, self.settings)
        if self.user is not None:
            # the admin socket's place and Caddy's own data, as /run/caddy and /var/lib/caddy are
            os.chown(base, self.user.pw_uid, self.user.pw_gid)
        self.write_main()
        self.start()

    def settings_for(self, way: SwitchWay, *, seen_timeout_s: float = 8.0) -> Settings:
        web = self._web()
        proxy = ProxySettings(
            kind=ProxyKind.CADDY,
            site=f"http://{self.host}",
            listen=f"127.0.0.1:{self.port}",
            switch=way,
            directory=str(self.conf / "celadon"),
            config=str(self.main),
            binary=self.binary,
            admin=self._admin,
            seen_timeout_s=seen_timeout_s,
            preview=self.preview,
        )
        source, switch = SourceSettings(path="/srv/shop"), SwitchSettings(steps=self.steps)
        return Settings(app=self.layout.app, source=source, web=web, proxy=proxy, switch=switch)

    @property
    def _admin(self) -> str:
        return f"unix/{self.base}/admin.sock"

    def write_main(self, *, neighbour: str = "", imported: bool = True) -> None:
        """`neighbour` is another site's block."""
        line = "\timport celadon/shop-one*.caddy\n" if imported else "\trespond nothing\n"
        guard = "origins http://127.0.0.1\n\t\tenforce_origin" if self.guarded else ""
        self.main.write_text(
            f"{{\n\tadmin {self._admin} {{\n\t\t{guard}\n\t}}\n\tauto_https off\n{self.metrics}}}\n\n"
            f"http://127.0.0.1:{self.port} {{\n{line}}}\n{neighbour}"
        )

    def start(self) -> None:
        home = {"XDG_DATA_HOME": str(self.base), "XDG_CONFIG_HOME": str(self.base), "HOME": str(self.base)}
        with (self.base / "caddy.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.settings.proxy.binary, "run", "--config", str(self.main), *self.adapter],
                env=os.environ | home,
                stdout=log,
                stderr=log,
                user=self.user and self.user.pw_uid,
                group=self.user and self.user.pw_gid,
                extra_groups=[] if self.user else None,
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                with socket.socket(socket.AF_UNIX) as admin:  # Caddy listens there a moment later
                    admin.connect(self._admin.removeprefix("unix/"))
                return
            except OSError:
                time.sleep(0.01)
        raise TimeoutError((self.base / "caddy.log").read_text())

    def reload_count(self) -> int:
        """Configurations that Caddy has loaded."""
        return (self.base / "caddy.log").read_text().count("adapted config") + (
            self.base / "caddy.log"
        ).read_text().count("load complete")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=20)


class JsonStage(CaddyStage):
    """The same with a configuration in JSON, made by a person: keys in their own order, their own server beside."""

    config = "caddy.json"
    adapter = ()

    def write_main(self, *, neighbour: str = "", imported: bool = True) -> None:
        """`neighbour` is another server's routes."""
        mark = '{ "@id": "celadon_shop-one",  "handler": "subroute" }' if imported else '{"handler": "static_response"}'
        routes = self.own_routes(mark)
        theirs = f',\n        "theirs": {neighbour}' if neighbour else ""
        self.main.write_text(
            f"""{{
  "apps": {{
    "http": {{{self.metrics}
      "servers": {{
        "shop": {{
          "routes": {routes},
          "listen": ["127.0.0.1:{self.port}"]
        }}{theirs}
      }}
    }}
  }},
  "admin": {{ "listen": {json.dumps(self._admin)} }}
}}
"""
        )
        self.main.chmod(0o640)
        if self.user is not None:
            os.chown(self.main, -1, self.user.pw_gid)

    def own_routes(self, handler: str) -> str:
        return f'[{{"handle": [\n{" " * 12}{handler}\n{" " * 10}]}}]'
