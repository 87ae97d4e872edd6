"""What the engine needs of a proxy. The suite in tests/contract/proxy holds every driver to it, under load."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from celadon.contracts.traffic import Traffic
from celadon.model.names import Slot
from celadon.model.observed import Finding, RouteView, Switched


class RenderedFile(Struct, frozen=True, kw_only=True):
    """One file that Celadon owns. `path` is absolute; the text ends with a newline."""

    path: Path
    text: str


class Proxy(Protocol):
    """One app's route in one proxy."""

    def check(self) -> Sequence[Finding]:
        """Installed, running, its present config valid, the site includes our route, nothing of ours edited
        by hand. Touches nothing. Up to 100 ms with many TLS sites."""
        ...

    def render(self) -> Sequence[RenderedFile]:
        """Every file that `install` would put in place. Pure and deterministic."""
        ...

    def install(self) -> bool:
        """Put the rendered files in place: staged, validated by the proxy's own checker, renamed in, loaded,
        seen to be in force. True when something changed. Idempotent. Raises StepError, having put back
        what was there, when the proxy refuses."""
        ...

    def observe(self) -> RouteView:
        """What the proxy routes to, asked through the proxy on a fresh connection; falls back to the pointer."""
        ...

    def switch(self, to: Slot, *, percent: int = 100, reached: Callable[[str], None]) -> Switched:
        """Move the route and return once it is *seen*, or say what the effect was. Idempotent: a switch to
        the slot that is routed is seen at once. `reached` is called with the names of the points passed:
        `before_pointer`, `after_pointer`; for ways that reload `validated` before them, `before_reload` and
        `after_reload` after them.

        `percent` below 100 (only one of `switch.steps`, and only for the ways in config's table SHARES): so many of
        each hundred clients go to `to`, the others to the other slot, which is the route meanwhile; whoever had `to`
        keeps it while the share grows."""
        ...

    def traffic(self) -> Traffic:
        """A new reader of the access log, placed at its present end."""
        ...
