"""What the stages of all proxies have in common: one site on a port of this machine, two slots behind it."""

import subprocess
from pathlib import Path

from celadon.host.look_http import LookTarget, ask_look
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.names import Slot
from celadon.model.settings import WebSettings
from tests.contract.single_visit import visit_as
from tests.contract.slot_server import SlotServer, free_port
from tests.contract.visitors import Visitors


class SlotStage:
    """A subclass sets these and starts the proxy. `host` is the site's name, as visitors say it."""

    host = "shop.example"
    base: Path
    port: int
    slots: dict[Slot, SlotServer]
    more: dict[Slot, list[SlotServer]]
    _process: "subprocess.Popen[bytes]"

    def _open_slots(self, *, sockets: bool = False, replicas: int = 1) -> dict[Slot, SlotServer]:
        """The first replica of each; `more` are the others."""
        opened = {
            slot: [SlotServer(slot, address=self._address(slot, number, sockets=sockets)) for number in range(replicas)]
            for slot in Slot
        }
        self.more = {slot: servers[1:] for slot, servers in opened.items()}
        return {slot: servers[0] for slot, servers in opened.items()}

    def _address(self, slot: Slot, number: int, *, sockets: bool) -> Address:
        if sockets:
            return SocketAddress(path=str(self.base / f"{slot.value}{number or ''}.sock"))
        return TcpAddress(port=free_port())

    def _web(self) -> WebSettings:
        blue_more, green_more = (tuple(each.address for each in self.more[slot]) for slot in Slot)
        return WebSettings(
            command="app",
            blue=self.slots[Slot.BLUE].address,
            green=self.slots[Slot.GREEN].address,
            blue_more=blue_more,
            green_more=green_more,
        )

    def visit(self) -> int:
        target = LookTarget(address=("127.0.0.1", self.port), tls=False, host=self.host, path="/")
        return ask_look(target, headers={}, timeout_s=5)

    def ask(self, client: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        return visit_as(self.port, client=client, host=self.host, headers=headers)

    def visitors(self) -> Visitors:
        return Visitors(self.port, host=self.host)

    def app_headers(self) -> set[str]:
        return {name for slot in self.slots.values() for name in slot.headers}

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)

    def close(self) -> None:
        if self._process.poll() is None:
            self.stop()
        for slot in [*self.slots.values(), *(each for more in self.more.values() for each in more)]:
            slot.close()
