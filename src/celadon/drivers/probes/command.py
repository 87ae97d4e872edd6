"""The command question: the user's own, in the candidate's environment; exit code 0 is a yes."""

import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from celadon.host.commands import run_command
from celadon.host.environment import USUAL_PATH
from celadon.host.text import flatten
from celadon.model.address import Address
from celadon.model.observed import Answer

_HEAD_CHARACTERS = 200


class CommandProbe(Struct, frozen=True):
    command: str
    env: Callable[[], Mapping[str, str]]

    def describe(self) -> str:
        return f"`{self.command}`"

    def ask(self, address: Address, *, timeout_s: float) -> Answer:
        began = time.monotonic()
        variables = {"PATH": USUAL_PATH, **self.env(), **address.variables, "CELADON_ADDRESS": str(address)}
        done = run_command(["/bin/sh", "-c", self.command], timeout_s=timeout_s, env=variables)
        head = flatten(done.output[-_HEAD_CHARACTERS:])
        return Answer(
            ok=done.ok,
            latency_ms=(time.monotonic() - began) * 1000,
            head=head,
            reason="" if done.ok else f"exit code {done.exit_code}: {head}",
        )
