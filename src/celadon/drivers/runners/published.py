"""How many connections an app has that listens in a network of its own.

Where the engine's forwarder takes them they are this machine's connections too; where the kernel forwards them, as for
Podman, only the container's own network knows them. Both are looked at: a count of 0 that is wrong cuts somebody off.
"""

from collections.abc import Collection
from pathlib import Path

from celadon.contracts.runner import Runner
from celadon.drivers.runners.containers import inside_address
from celadon.host.sockets import KernelSockets
from celadon.host.tcp_sockets import OPEN, read_tcp
from celadon.model.address import Address, TcpAddress
from celadon.model.connections import Connection
from celadon.model.names import Slot
from celadon.model.observed import SlotStatus
from celadon.model.settings import Settings


class PublishedSockets:
    """Implements contracts.sockets.Sockets."""

    def __init__(self, machine: KernelSockets, runner: Runner, settings: Settings) -> None:
        self._machine = machine
        self._runner = runner
        self._settings = settings

    def listening_pids(self, address: Address) -> frozenset[int] | None:
        return self._machine.listening_pids(address)

    def is_held(self, address: Address, *, by: Collection[int]) -> bool:
        return self._machine.is_held(address, by=by)

    def connections_count(self, address: Address) -> int:
        outside = self._machine.connections_count(address)
        slot = self._slot_at(address)
        return outside if slot is None else max(outside, self._count_inside(slot))

    def connections(self, address: Address) -> list[Connection]:
        """Those of the network that has more of them."""
        outside = self._machine.connections(address)
        slot = self._slot_at(address)
        inside = self._list_inside(slot, address) if slot is not None else []
        return inside if len(inside) > len(outside) else outside

    def _slot_at(self, address: Address) -> Slot | None:
        return next((slot for slot in Slot if self._settings.web.address(slot) == address), None)

    def _list_inside(self, slot: Slot, address: Address) -> list[Connection]:
        view = self._runner.observe(slot)
        if view.status is not SlotStatus.RUNNING or not isinstance(address, TcpAddress):
            return []
        port = inside_address(self._settings, slot).port
        return self._machine.connections_inside(view.pids[0], port=port, called=address.port)

    def _count_inside(self, slot: Slot) -> int:
        view = self._runner.observe(slot)
        if view.status is not SlotStatus.RUNNING:
            return 0
        tables = Path(f"/proc/{view.pids[0]}/net")
        port = inside_address(self._settings, slot).port
        return sum(1 for found in read_tcp(port, tables=tables) if found.state in OPEN)
