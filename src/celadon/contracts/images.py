"""What the making of a release needs where a release runs as an image."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from celadon.model.names import ReleaseNumber

RunStep = Callable[[Sequence[str]], Sequence[str]]
"""Runs one argv as a build step: told, logged, bounded, cancelled with the others. Returns its last output lines.
Raises StepError."""


class Images(Protocol):
    """The images of one app's releases."""

    def make(self, number: ReleaseNumber, tree: Path, *, run: RunStep) -> str | None:
        """The id of the image that release `number` runs as, kept from now on; None where none is needed. Raises
        StepError, and leaves nothing then."""
        ...

    def keep(self, number: ReleaseNumber, image: str, *, tree: Path, base: Path) -> None:
        """Release `number`, whose files are in `tree`, runs as this one too, which is kept for the release in the
        directory `base`. Raises StepError."""
        ...

    def has(self, image: str) -> bool:
        """By id."""
        ...

    def keep_only(self, numbers: Collection[ReleaseNumber]) -> None:
        """What was kept for any other release of the app is let go. Idempotent; what is still in use stays until the
        next time."""
        ...


class NoImages:
    """Of releases that run from their tree."""

    def make(self, number: ReleaseNumber, tree: Path, *, run: RunStep) -> None:  # noqa: ARG002
        return None

    def keep(self, number: ReleaseNumber, image: str, *, tree: Path, base: Path) -> None:
        pass

    def has(self, image: str) -> bool:  # noqa: ARG002
        return True

    def keep_only(self, numbers: Collection[ReleaseNumber]) -> None:
        pass
