"""A private Traefik with two slots behind it: own directories and ports, ended by pid."""

import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

from celadon.drivers.proxies.traefik import TraefikProxy
from celadon.host.layout import Layout
from celadon.model.names import AppName
from celadon.model.settings import ProxyKind, ProxySettings, Settings, SourceSettings, SwitchSettings
from tests.contract.slot_server import free_port
from tests.contract.slot_stage import SlotStage

TRAEFIK = str(Path(sys.executable).parent / "traefik")
ROUTED = """\
http:
  routers:
    shop:   # the shop
      rule: Host(`shop.example`)
      entryPoints: [web]
      middlewares:
        - celadon-shop-one
      service: celadon-shop-one
"""


class TraefikStage(SlotStage):
    """Implements ProxyStage, ShareStage and PreviewStage. `json` is the access log's format, `entry` and `more` as
    `write_main` has them; `user` is whom Traefik runs as, us by default; then we must be root."""

    reloads = loses = False
    sticky = True

    def __init__(
        self,
        base: Path,
        *,
        json: bool = True,
        steps: tuple[int, ...] = (100,),
        preview: bool = False,
        replicas: int = 1,
        user: str | None = None,
        site: str = ROUTED,
        entry: str = "",
        more: str = "",
    ) -> None:
        self.base = base
        self.port = free_port()
        self.user = pwd.getpwnam(user) if user is not None else None
        self.directory = base / "dynamic"
        self.directory.mkdir(parents=True)
        self.main = base / "traefik.yml"
        self.access_log = base / "log" / "access.log"
        self.access_log.parent.mkdir()
        if self.user is not None:
            os.chown(self.access_log.parent, self.user.pw_uid, self.user.pw_gid)
        self.site = self.directory / "site.yml"
        self.site.write_text(site)
        self.layout = Layout(base / "state", AppName("shop-one"))
        self.layout.home.mkdir(parents=True)
        self.slots = self._open_slots(replicas=replicas)
        self.settings = self.settings_for(steps=steps, preview=preview)
        self.proxy = TraefikProxy(self.layout, self.settings)
        self._write_certificate()
        self.write_main(json=json, entry=entry, more=more)
        self.start()

    def settings_for(
        self, *, seen_timeout_s: float = 8.0, steps: tuple[int, ...] = (100,), preview: bool = False
    ) -> Settings:
        web = self._web()
        proxy = ProxySettings(
            kind=ProxyKind.TRAEFIK,
            site="http://shop.example",
            listen=f"127.0.0.1:{self.port}",
            directory=str(self.directory),
            config=str(self.main),
            binary=TRAEFIK,
            seen_timeout_s=seen_timeout_s,
            preview=preview,
        )
        return Settings(
            app=self.layout.app,
            source=SourceSettings(path="/srv/shop"),
            web=web,
            proxy=proxy,
            switch=SwitchSettings(steps=steps),
        )

    def write_main(
        self, *, json: bool = True, access_log: bool = True, entry: str = "", more: str = "", throttle: str = "10ms"
    ) -> None:
        """`entry` are further entry points, `more` further lines at the top level."""
        form = "\n  format: json" if json else ""
        log = f"accessLog:\n  filePath: {self.access_log}{form}\n" if access_log else ""
        self.main.write_text(
            f"""\
global:
  checkNewVersion: false
  sendAnonymousUsage: false
entryPoints:
  web:
    address: 127.0.0.1:{self.port}
{entry}log:
  level: ERROR
  noColor: true
providers:
  providersThrottleDuration: {throttle}
  file:
    directory: {self.directory}
{log}{more}"""
        )

    def start(self) -> None:
        with (self.base / "traefik.log").open("ab") as log:
            self._process = subprocess.Popen(
                [TRAEFIK, f"--configFile={self.main}"],
                stdout=log,
                stderr=log,
                user=self.user and self.user.pw_uid,
                group=self.user and self.user.pw_gid,
                extra_groups=[] if self.user else None,
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if self.visit() != 404 or not self._routes_us():
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise TimeoutError((self.base / "traefik.log").read_text())

    def reload_count(self) -> int:
        """It has none to count: one process from the start to the end."""
        return self._process.pid

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=20)

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill()
        for slot in self.slots.values():
            slot.close()

    def _routes_us(self) -> bool:
        """Traefik takes connections before it has read its directory."""
        return (self.directory / "celadon-shop-one.yml").exists()

    def _write_certificate(self) -> None:
        argv = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        files = ["-keyout", str(self.base / "default.key"), "-out", str(self.base / "default.pem")]
        subprocess.run([*argv, *files, "-days", "2", "-subj", "/CN=default.example"], check=True, capture_output=True)
        for name in ("default.key", "default.pem"):
            (self.base / name).chmod(0o644)
        (self.directory / "certificate.yml").write_text(
            "tls:\n  stores:\n    default:\n      defaultCertificate:\n"
            f"        certFile: {self.base}/default.pem\n        keyFile: {self.base}/default.key\n"
        )
