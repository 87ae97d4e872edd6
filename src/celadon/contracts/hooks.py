"""The user's own commands around the steps."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from celadon.events import HookRan
from celadon.model.release import Release


class Hooks(Protocol):
    def run(self, hook: str, *, release: Release | None, variables: Mapping[str, str]) -> Sequence[HookRan]:
        """Run the commands configured for `hook`, in order, up to the first that fails. Blocks at most the
        configured timeout each; a command over it counts as failed with exit code 124."""
        ...
