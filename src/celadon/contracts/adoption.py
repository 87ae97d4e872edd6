"""What is needed of a proxy that serves already, to take its switching over and to give it back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from celadon.model.address import Address
from celadon.model.names import Slot


class Edit(Struct, frozen=True, kw_only=True):
    """One file, whole. `before` None: it is not there yet; `after` None: it goes."""

    path: Path
    before: str | None
    after: str | None


class FoundSite(Struct, frozen=True, kw_only=True):
    """One place in the proxy's configuration that sends requests on.

    `where` is `file:line`. `names` are the hosts it is for, `path` the URL path that it begins at. `site` and `listen`
    are as `proxy.site` and `proxy.listen` take them; `directory` as `proxy.directory`, where the
    proxy's configuration decides it. `upstream` is where the requests go now; None where that is not
    one address on this machine. `reason` says why it cannot be adopted, with the construct's own words, and is empty
    when it can; `by_hand` are then the lines that a person would add."""

    where: str
    names: tuple[str, ...]
    site: str
    listen: str
    directory: str = ""
    path: str = "/"
    upstream: Address | None = None
    reason: str = ""
    by_hand: str = ""


class SiteFinder(Protocol):
    """One proxy's configuration, read and never touched."""

    def find_sites(self) -> Sequence[FoundSite]:
        """Every place that sends requests on, in the order of the configuration. Raises StepError when the
        configuration cannot be read or is refused by the proxy itself."""
        ...


class Adoption(Protocol):
    """One app's site, handed over and back."""

    def propose(self, found: Sequence[FoundSite]) -> Sequence[Edit]:
        """The smallest edit of the user's own files by which each of `found` is served by the app's route; one Edit a
        file. Pure but for reading those files. Raises StepError when they have changed since `found` was."""
        ...

    def adopt(self, edits: Sequence[Edit], *, live: Slot) -> None:
        """The pointer names `live`, our files and `edits` are in place: staged, validated by the proxy's own checker,
        loaded, seen through the proxy. Raises StepError, having put back what was there, when the proxy refuses or
        the route is not seen. No request fails meanwhile. Idempotent."""
        ...

    def propose_eject(self, live: Slot) -> Sequence[Edit]:
        """Every edit after which the site is served from the address of `live` by plain configuration, without a file
        of ours: ours go, or stay as plain text where the answers need them."""
        ...

    def eject(self, edits: Sequence[Edit], *, live: Slot) -> None:
        """As `adopt`, the other way round; afterwards nothing that the proxy reads lies in our directories."""
        ...
