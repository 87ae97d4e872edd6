"""What the kernel knows of a slot's address."""

from collections.abc import Collection, Sequence
from typing import Protocol

from celadon.model.address import Address
from celadon.model.connections import Connection


class Sockets(Protocol):
    def listening_pids(self, address: Address) -> frozenset[int] | None:
        """Processes that hold a listening socket on `address`; empty when nobody listens, None when somebody
        does whom we may not see (another user's process)."""
        ...

    def is_held(self, address: Address, *, by: Collection[int]) -> bool:
        """Whether one of these processes holds a listening socket on `address`: no other one is looked at."""
        ...

    def connections_count(self, address: Address) -> int:
        """Connections accepted at `address` and not yet closed by both sides."""
        ...

    def connections(self, address: Address) -> Sequence[Connection]:
        """Of those, the ones that the app has not closed or whose last bytes have not arrived."""
        ...
