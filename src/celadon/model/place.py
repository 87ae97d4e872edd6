"""Where a journey is run."""

from msgspec import Struct

from celadon.model.address import Address
from celadon.model.names import Slot
from celadon.model.release import Release


class Place(Struct, frozen=True, kw_only=True):
    """A slot itself, at `address`; or, `through_proxy`, the way that visitors come, which leads there. `release` is
    what runs there."""

    slot: Slot
    address: Address
    release: Release
    through_proxy: bool = False
