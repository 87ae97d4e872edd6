"""What the engine needs of the place where releases are kept."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from celadon.events import Event
from celadon.model.names import ReleaseNumber
from celadon.model.release import Fate, Release, Source
from celadon.model.settings import Settings


class Releases(Protocol):
    def make(
        self,
        number: ReleaseNumber,
        source: Source,
        *,
        settings: Settings,
        lead: str,
        live: ReleaseNumber | None,
        tell: Callable[[Event], None],
        reached: Callable[[str], None],
        cancelled: Callable[[], bool],
    ) -> Release:
        """Fetch, unpack, link, build, digest, rename: afterwards `number` stands whole or not at all, and what earlier
        failures left is gone. A source that is a release is copied as it was built. `tell` takes BuildStep*,
        DependenciesReused, ReleaseMade and, where there is a `live` one, ReleaseCompared; `reached` the points
        `mid_unpack`, `unpacked`, `renamed`; `cancelled` is asked between and during build steps. Raises StepError with
        the last output lines."""
        ...

    def read(self, number: ReleaseNumber) -> Release:
        """Raises StepError (`release_missing`, `release_damaged`)."""
        ...

    def numbers(self) -> Sequence[ReleaseNumber]:
        """Whole releases on disk, ascending."""
        ...

    def verify(self, release: Release) -> str | None:
        """None when tree and env still have the manifest's digests, else the first path that differs."""
        ...

    def keep_output(self, release: Release, lines: Sequence[str]) -> Path:
        """Durable, beside the tree: what its release command printed. Replaces what an earlier run of it printed."""
        ...

    def mark(self, release: Release, fate: Fate) -> None:
        """Leave a durable mark of what became of it. Idempotent. The first fate stays."""
        ...

    def prune(self, *, keep_count: int, protected: Collection[ReleaseNumber]) -> Sequence[ReleaseNumber]:
        """Remove all but the newest `keep_count` and the protected ones, and every `.partial`. Returns what went."""
        ...
