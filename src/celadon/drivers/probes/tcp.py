"""The TCP question: does something accept a connection? The weakest readiness there is."""

import time

from msgspec import Struct

from celadon.host.connecting import connect
from celadon.model.address import Address
from celadon.model.observed import Answer


class TcpProbe(Struct, frozen=True):
    def describe(self) -> str:
        return "TCP connect"

    def ask(self, address: Address, *, timeout_s: float) -> Answer:
        began = time.monotonic()
        try:
            connect(address, timeout_s).close()
        except OSError as error:
            reason = f"connect to {address}: {error}"
            refused = isinstance(error, (ConnectionRefusedError, FileNotFoundError))
            return Answer(ok=False, latency_ms=(time.monotonic() - began) * 1000, reason=reason, refused=refused)
        return Answer(ok=True, latency_ms=(time.monotonic() - began) * 1000)
