"""Journeys by a command of the user's: pytest, a browser script. Exit code 0 passes."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from celadon.drivers.journeys.marker import new_run
from celadon.host.environment import USUAL_PATH, read_env
from celadon.host.shell import TIMED_OUT, Ran, run_shell
from celadon.host.text import flatten
from celadon.model.address import Address, SocketAddress
from celadon.model.journeys import Journey
from celadon.model.names import render_release_label
from celadon.model.observed import Answer
from celadon.model.place import Place

_HEAD_CHARACTERS = 200

_GUARD = "( (sleep {after_s}; kill -KILL 0) >/dev/null 2>&1 & )"
"""Ends the command's group when nobody else does: an operation may die while one runs, and a command that hangs would
outlive it for good."""


class CommandJourneys(Struct, frozen=True, kw_only=True):
    """`site` is the public URL, `listen` where the proxy takes it on this machine. `user` is the app's."""

    site: str
    listen: str
    user: str | None

    def ask(self, journey: Journey, place: Place) -> Answer:
        began_s = time.monotonic()
        tree = place.release.tree
        guard = _GUARD.format(after_s=math.ceil(journey.timeout_s) + 1)
        try:
            done = run_shell(
                f"{guard}\n{journey.command}",
                cwd=tree if tree.is_dir() else Path("/"),
                env=self._render_env(place),
                user=self.user,
                timeout_s=journey.timeout_s,
                leaves_nothing=True,
            )
        except OSError as error:
            return Answer(ok=False, latency_ms=(time.monotonic() - began_s) * 1000, reason=f"cannot be run: {error}")
        return _judge(done, timeout_s=journey.timeout_s)

    def _render_env(self, place: Place) -> Mapping[str, str]:
        scheme = self.site.partition("://")[0]
        return {
            "PATH": USUAL_PATH,
            **read_env(place.release.path / "env"),
            "CELADON_URL": f"{scheme}://{self.listen}" if place.through_proxy else _render_url(place.address),
            "CELADON_SITE": self.site,
            "CELADON_SLOT": place.slot.value,
            "CELADON_RELEASE": render_release_label(place.release.number),
            "CELADON_RUN": new_run(),
        }


def _render_url(address: Address) -> str:
    """Of a socket as HTTP clients for sockets have it."""
    if isinstance(address, SocketAddress):
        return f"http+unix://{quote(address.path, safe='')}"
    return f"http://{address}"


def _judge(done: Ran, *, timeout_s: float) -> Answer:
    last = flatten(done.output_tail[-1])[:_HEAD_CHARACTERS] if done.output_tail else ""
    how = f"not over after {timeout_s:g} s" if done.exit_code == TIMED_OUT else f"exit code {done.exit_code}"
    return Answer(
        ok=done.exit_code == 0,
        latency_ms=done.duration_s * 1000,
        reason="" if done.exit_code == 0 else f"{how}: {last}".removesuffix(": "),
        output_tail=() if done.exit_code == 0 else done.output_tail,
    )
