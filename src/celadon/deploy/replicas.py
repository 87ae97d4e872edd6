"""One question to a slot that has several replicas, of the app or of the kernel. Pure but for the asking."""

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from celadon.contracts.sockets import Sockets
from celadon.model.address import Address
from celadon.model.connections import Connection
from celadon.model.observed import Answer


class Ask(Protocol):
    """As contracts.probe.Probe asks."""

    def __call__(self, address: Address, *, timeout_s: float) -> Answer: ...


def ask_every(ask: Ask, addresses: Sequence[Address], *, timeout_s: float) -> Answer:
    """One after the other. The first no, which names who gave it, or the slowest yes. Blocks at most `timeout_s` for
    each."""
    slowest = None
    for address in addresses:
        answer = ask(address, timeout_s=timeout_s)
        if not answer.ok:
            return answer if len(addresses) == 1 else replace(answer, reason=f"{address}: {answer.reason}")
        slowest = answer if slowest is None else max(slowest, answer, key=lambda each: each.latency_ms)
    return slowest or Answer(ok=False, latency_ms=0.0, reason="the slot has no address")


def list_open(sockets: Sockets, addresses: Sequence[Address]) -> Sequence[Connection]:
    """Of all of them."""
    return [each for address in addresses for each in sockets.connections(address)]


def ask_until_yes(ask: Ask, addresses: Sequence[Address], *, timeout_s: float) -> bool:
    """Whether one of them says yes."""
    return any(ask(address, timeout_s=timeout_s).ok for address in addresses)
