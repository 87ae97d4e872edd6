"""What the window needs of the machine that both slots run on."""

from typing import Protocol

from celadon.model.observed import HostView


class Host(Protocol):
    def observe(self) -> HostView:
        """A quarter of a millisecond."""
        ...
