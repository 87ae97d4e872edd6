"""How many connections an app has that listens in a network of its own.

Where the engine's forwarder takes them they are this machine's connections too; where the kernel forwards them, as for
Podman, only the container's own network knows them. Both are looked at: a count of 0 that is wrong cuts somebody off.
"""

from collections.abc import Callable, Collection
from pathlib import Path

from celadon.contracts.runner import Runner
from celadon.drivers.runners.containers import inside_address
from celadon.host.sockets import KernelSockets
from celadon.host.tcp_sockets import OPEN, read_tcp
from celadon.model.address import Address, TcpAddress
from celadon.model.connections import Connection
from celadon.model.names import Slot
from celadon.model.observed import SlotStatus, SlotView
from celadon.model.settings import Settings


class PublishedSockets:
    """Implements contracts.sockets.Sockets. `runner_at` gives the runner of what listens at an address of a slot."""

    def __init__(
        self, machine: KernelSockets, runner_at: Callable[[Slot, Address], Runner], settings: Settings
    ) -> None:
        self._machine = machine
        self._runner_at = runner_at
        self._settings = settings

    def listening_pids(self, address: Address) -> frozenset[int] | None:
        return self._machine.listening_pids(address)

    def is_held(self, address: Address, *, by: Collection[int]) -> bool:
        return self._machine.is_held(address, by=by)

    def connections_count(self, address: Address) -> int:
        return max(self._machine.connections_count(address), self._count_inside(address))

    def connections(self, address: Address) -> list[Connection]:
        """Those of the network that has more of them."""
        outside = self._machine.connections(address)
        inside = self._list_inside(address)
        return inside if len(inside) > len(outside) else outside

    def _find(self, address: Address) -> tuple[SlotView, int] | None:
        """What runs behind `address`, and its port inside."""
        slot = self._settings.web.slots.get(address)
        if slot is None or not isinstance(address, TcpAddress):
            return None
        view = self._runner_at(slot, address).observe(slot)
        return (view, inside_address(self._settings, address).port) if view.status is SlotStatus.RUNNING else None

    def _list_inside(self, address: Address) -> list[Connection]:
        found = self._find(address)
        if found is None or not isinstance(address, TcpAddress):
            return []
        view, port = found
        return self._machine.connections_inside(view.pids[0], port=port, called=address.port)

    def _count_inside(self, address: Address) -> int:
        found = self._find(address)
        if found is None:
            return 0
        view, port = found
        tables = Path(f"/proc/{view.pids[0]}/net")
        return sum(1 for each in read_tcp(port, tables=tables) if each.state in OPEN)
