"""What the stages of all proxies have in common: one site on a port of this machine, two slots behind it."""

import subprocess
from pathlib import Path

from celadon.host.look_http import LookTarget, ask_look
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.names import Slot
from tests.contract.single_visit import visit_as
from tests.contract.slot_server import SlotServer, free_port
from tests.contract.visitors import Visitors


class SlotStage:
    """A subclass sets these and starts the proxy. `host` is the site's name, as visitors say it."""

    host = "shop.example"
    base: Path
    port: int
    slots: dict[Slot, SlotServer]
    _process: "subprocess.Popen[bytes]"

    def _open_slots(self, *, sockets: bool = False) -> dict[Slot, SlotServer]:
        return {slot: SlotServer(slot, address=self._address(slot, sockets=sockets)) for slot in Slot}

    def _address(self, slot: Slot, *, sockets: bool) -> Address:
        if sockets:
            return SocketAddress(path=str(self.base / f"{slot.value}.sock"))
        return TcpAddress(port=free_port())

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
        for slot in self.slots.values():
            slot.close()
