"""The pointer's directories as HAProxy reads them: in each a map with the one number of that route."""

from collections.abc import Iterable
from pathlib import Path

from celadon.drivers.proxies.haproxy_text import MAP, UNSET, render_map, render_value
from celadon.host.files import write_atomic
from celadon.host.pointer import live_path, prepare_pointer, route_path
from celadon.model.names import Slot
from celadon.model.observed import WHOLE, Split

_UNSET = "unset"

Route = tuple[Slot | None, Split | None]


def prepare_route(pointer: Path, *, percents: Iterable[int]) -> None:
    """Idempotent; moves nothing. HAProxy does not start without the map, so before the first switch `live` names a
    directory that is no slot's."""
    shares = {*percents, WHOLE}
    prepare_pointer(pointer, percents=shares)
    for slot in Slot:
        for percent in shares:
            _write(route_path(pointer, slot, percent=percent), render_value(slot, percent))
    (pointer / _UNSET).mkdir(exist_ok=True)
    _write(pointer / _UNSET, UNSET)
    live = live_path(pointer)
    if not live.is_symlink():
        live.symlink_to(_UNSET)


def read_value(pointer: Path) -> int:
    """Of the map that a HAProxy reads which starts now."""
    try:
        return int((live_path(pointer) / MAP).read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return UNSET


def tell_disagreement(*, pointed: Route, running: Route) -> str:
    if pointed == running:
        return ""
    return f"the pointer names {_tell(pointed)}, the running haproxy routes to {_tell(running)}"


def _tell(route: Route) -> str:
    slot, split = route
    named = str(slot or "no slot")
    return f"{named} with {split.percent} % to {split.slot}" if split else named


def _write(directory: Path, value: int) -> None:
    path = directory / MAP
    text = render_map(value)
    if not path.exists() or path.read_text() != text:
        write_atomic(path, text)
