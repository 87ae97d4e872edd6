"""The files that a page of an older release may still ask for."""

from collections.abc import Collection
from typing import Protocol

from celadon.events import AssetsGathered
from celadon.model.names import ReleaseNumber


class Assets(Protocol):
    def gather(self, number: ReleaseNumber, *, protected: Collection[ReleaseNumber]) -> AssetsGathered | None:
        """Have the assets of release `number`, of the protected ones and of the newest others in one directory, and
        none beside. Idempotent; what is there in the meantime is whole. None where nothing of the kind is wanted.
        Raises StepError where `number` has none (`assets_missing`), OSError."""
        ...


class NoAssets:
    """Nobody has said where they are."""

    def gather(self, number: ReleaseNumber, *, protected: Collection[ReleaseNumber]) -> None:  # noqa: ARG002
        return None
