"""What the directories of a pointer hold for nginx: empty files, asked for by name with `if (-f …)`.

`green` is there where green is the route, `preview` where a preview goes to green, `00` to `99` (a client's bucket)
where that client goes to green. The buckets of a smaller share are among those of a larger one, for either slot, so
that a growing share moves nobody back.
"""

from collections.abc import Iterable
from pathlib import Path

from celadon.host.files import sync_directory
from celadon.host.pointer import route_path
from celadon.model.names import Slot
from celadon.model.observed import WHOLE

BUCKETS = 100
GREEN = "green"
PREVIEW = "preview"


def name_bucket(number: int) -> str:
    return f"{number:02d}"


def marks_of(to: Slot, percent: int) -> frozenset[str]:
    """The files of the route that gives `percent` to `to`."""
    base = to if percent == WHOLE else to.other
    route = {GREEN} if base is Slot.GREEN else {PREVIEW}
    own = range(percent) if to is Slot.GREEN else range(percent, BUCKETS)
    return frozenset({*route, *map(name_bucket, own)})


def prepare_marks(pointer: Path, *, percents: Iterable[int]) -> None:
    """Idempotent. The directories are those of prepare_pointer."""
    for slot in Slot:
        for percent in {*percents, WHOLE}:
            directory = route_path(pointer, slot, percent=percent)
            missing = [name for name in marks_of(slot, percent) if not (directory / name).exists()]
            for name in missing:
                (directory / name).touch(mode=0o644)
            if missing:
                sync_directory(directory)


def slots_at(to: Slot, percent: int) -> list[tuple[str, Slot]]:
    """The buckets on either side of where that route changes, and who answers each: no other route answers all of
    them so."""
    if percent == WHOLE:
        return [(name_bucket(BUCKETS - 1), to), (name_bucket(0), to)]
    return [(name_bucket(percent - 1), to), (name_bucket(percent), to.other)]


def edges_of(percents: Iterable[int]) -> list[str]:
    """Every bucket that a look may be of."""
    return sorted({name for percent in {*percents, WHOLE} for name, _ in slots_at(Slot.BLUE, percent)})
