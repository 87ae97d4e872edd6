"""A site as its owner wrote it, behind a private Traefik: one of the configurations in tests/data/traefik."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.traefik import TraefikProxy
from celadon.drivers.proxies.traefik_adopt import TraefikAdoption
from celadon.drivers.proxies.traefik_sites import TraefikSites
from celadon.host.layout import Layout
from celadon.host.look_http import ask_reply, parse_look_target
from celadon.model.address import TcpAddress
from celadon.model.names import AppName, Slot
from celadon.model.settings import ProxyKind, ProxySettings, Settings, SourceSettings, WebSettings
from tests.contract.slot_server import SlotServer, free_port
from tests.contract.traefik_server import TRAEFIK
from tests.contract.visitors import Visitors

CASES = Path(__file__).parent.parent / "data" / "traefik"


class TraefikSite:
    """Blue is the app that ran before. `crlf`: its owner wrote it on another system."""

    def __init__(self, base: Path, case: str, *, crlf: bool = False) -> None:
        self.base = base
        self.slots = {slot: SlotServer(slot, address=TcpAddress(port=free_port())) for slot in Slot}
        self.port = free_port()
        upstream = self.slots[Slot.BLUE].address
        assert isinstance(upstream, TcpAddress)
        marks = {"@PORT@": self.port, "@PORT80@": free_port(), "@DIR@": base, "@UP@": upstream.port}
        shutil.copytree(CASES / case, base)
        for path in base.rglob("*.*ml"):
            text = path.read_text()
            for mark, value in marks.items():
                text = text.replace(mark, str(value))
            path.write_bytes(text.replace("\n", "\r\n" if crlf and path.parent != base else "\n").encode())
        self.main = next(base.glob("traefik.*"))
        self.directory = base / "dynamic"
        self.layout = Layout(base / "state", AppName("shop"))
        self.layout.home.mkdir(parents=True)
        self._start()

    def find(self) -> list[FoundSite]:
        return list(TraefikSites(self.main, TRAEFIK).find_sites())

    def taken(self) -> list[FoundSite]:
        upstream = self.slots[Slot.BLUE].address
        return [site for site in self.find() if site.upstream == upstream and not site.reason]

    def settings_for(self, site: FoundSite, *, seen_timeout_s: float = 30.0) -> Settings:
        web = WebSettings(command="app", blue=self.slots[Slot.BLUE].address, green=self.slots[Slot.GREEN].address)
        proxy = ProxySettings(
            kind=ProxyKind.TRAEFIK,
            site=site.site,
            listen=site.listen,
            directory=site.directory,
            config=str(self.main),
            binary=TRAEFIK,
            seen_timeout_s=seen_timeout_s,
        )
        return Settings(app=self.layout.app, source=SourceSettings(path="/srv/shop"), web=web, proxy=proxy)

    def adoption(self, site: FoundSite, *, seen_timeout_s: float = 30.0) -> TraefikAdoption:
        return TraefikAdoption(self.layout, self.settings_for(site, seen_timeout_s=seen_timeout_s))

    def proxy(self, site: FoundSite) -> TraefikProxy:
        return TraefikProxy(self.layout, self.settings_for(site))

    def answer(self, site: FoundSite) -> tuple[int, str]:
        """What a visitor of it gets."""
        proxy = self.settings_for(site).proxy
        target = parse_look_target(site=proxy.site, listen=proxy.listen, path=site.path)
        reply = ask_reply(target, headers={}, timeout_s=5)
        return reply.status, reply.body.decode()

    def visitors(self, site: FoundSite) -> Visitors:
        return Visitors(self.port, host=site.names[0] if site.names else "any.example")

    def texts(self) -> dict[str, bytes]:
        """What Traefik reads."""
        return {path.name: path.read_bytes() for path in sorted(self.directory.rglob("*")) if path.suffix != ".partial"}

    def restart(self) -> None:
        self._end()
        self._start()

    def close(self) -> None:
        self._end()
        for slot in self.slots.values():
            slot.close()

    def _start(self) -> None:
        with (self.base / "traefik.log").open("ab") as log:
            argv = [TRAEFIK, f"--configFile={self.main}"]
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, env=os.environ, cwd=self.base)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not self._serves():
            time.sleep(0.01)

    def _serves(self) -> bool:
        """Some site of it does, or none can: a directory that Traefik cannot read is served by nobody."""
        try:
            good = [site for site in self.find() if not site.reason]
            return not good or any(self.answer(site)[0] != 404 for site in good)
        except OSError:
            return False

    def _end(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=20)
