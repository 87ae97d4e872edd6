"""Where the route of an app behind Traefik lies on the disk.

    <watched directory>/celadon-shop.yml -> <pointer>/live/route.yml      a link, made once
    <pointer>/live -> unset | blue | green | green-05 | …                 the pointer
    <pointer>/blue/route.yml, …                                           rendered at install

So the pointer is the only truth: whatever Traefik reads, at a change or when it starts, it reads through it. Moving
it is one rename that Traefik does not see, since it watches one directory and no link's target; touching the link
tells it to look. Of that order a death in between leaves a Traefik that runs with the old route and would start with
the new one: the next operation finds both and lets the pointer follow what visitors have (0014).

The files hold the secrets of looks and of the preview: only their owner and Traefik's group may read them.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from celadon.drivers.proxies.sealed import is_sealed
from celadon.drivers.proxies.traefik_text import UNSET, name_service, parse_route, read_generation
from celadon.host.files import sync_directory, write_atomic
from celadon.host.layout import Layout
from celadon.host.pointer import live_path, move_pointer, prepare_pointer, route_path
from celadon.host.processes import ProcessOwner, read_owner
from celadon.host.sockets import KernelSockets
from celadon.model.address import TcpAddress
from celadon.model.names import Slot
from celadon.model.observed import WHOLE
from celadon.model.settings import Settings

_FILE = "route.yml"
_OWN = 0o600
_SHARED = 0o640


class TraefikFiles:
    def __init__(self, layout: Layout, settings: Settings, *, listen: TcpAddress) -> None:
        self._layout = layout
        self._listen = listen
        self.directory = Path(settings.proxy.directory)
        self.link = self.directory / f"{name_service(settings.app)}.yml"
        self._percents = settings.switch.steps

    def route_names(self) -> Iterable[str]:
        """Every route that the pointer may name."""
        yield UNSET
        for slot in Slot:
            for percent in sorted({*self._percents, WHOLE}):
                yield self.name_route(slot, percent)

    def name_route(self, to: Slot, percent: int) -> str:
        return route_path(self._layout.pointer, to, percent=percent).name

    def path_of(self, name: str) -> Path:
        return self._layout.pointer / name / _FILE

    def prepare(self) -> None:
        """The pointer and its places; it names `unset` until the first switch. Idempotent."""
        prepare_pointer(self._layout.pointer, percents=self._percents)
        (self._layout.pointer / UNSET).mkdir(exist_ok=True)
        if not os.path.lexists(live_path(self._layout.pointer)):
            self._point_unset()

    def read_pointed(self) -> str:
        """The name of the route that the pointer names, UNSET where it names none."""
        try:
            name = os.readlink(live_path(self._layout.pointer))
        except OSError:
            return UNSET
        return name if parse_route(name)[0] is not None else UNSET

    def point(self, name: str) -> None:
        """Atomic and durable, for taking a switch back."""
        slot, split = parse_route(name)
        if split is not None:
            move_pointer(self._layout.pointer, split.slot, percent=split.percent)
        elif slot is not None:
            move_pointer(self._layout.pointer, slot)
        else:
            self._point_unset()

    def put(self, texts: Mapping[Path, str]) -> None:
        group, mode = self._share()
        for path, text in texts.items():
            write_atomic(path, text, mode=mode, group=group)

    def put_link(self) -> None:
        """Replaces whatever has its name by one rename. Idempotent."""
        wanted = live_path(self._layout.pointer) / _FILE
        if self.link.is_symlink() and self.link.readlink() == wanted:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        temporary = self.link.with_name(f".{self.link.name}.partial")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(wanted)
        temporary.rename(self.link)
        sync_directory(self.directory)

    def nudge(self) -> None:
        """Traefik reads its directory again: any event in it will do, and this one needs no inode and no block."""
        os.utime(self.link, follow_symlinks=False)

    def read_route(self, name: str) -> tuple[str, str]:
        """The text of a route and the generation that it answers with; both empty where it was never installed or has
        been edited."""
        text = read_text(self.path_of(name))
        if text is None or not is_sealed(text):
            return "", ""
        return text, read_generation(text, name=name)

    def is_displaced(self) -> bool:
        """Something else has the link's name: the pointer would move nothing."""
        return self.link.exists() and not self.link.is_symlink()

    def find_owner(self) -> ProcessOwner | None:
        """Whom Traefik runs as, where that is another than us and not root. systemd may hold its socket too."""
        pids = KernelSockets().listening_pids(self._listen) or ()
        owners = {owner for owner in map(read_owner, pids) if owner is not None}
        others = {owner for owner in owners if owner.uid not in {0, os.geteuid()}}
        return others.pop() if len(others) == 1 else None

    def _share(self) -> tuple[int | None, int]:
        """With nobody listening, as it was: a Traefik that starts must be able to read it."""
        owner = self.find_owner()
        if owner is not None:
            return (owner.gid if os.geteuid() == 0 else None), _SHARED
        for name in self.route_names():
            try:
                found = self.path_of(name).stat()
            except OSError:
                continue
            return found.st_gid, found.st_mode & 0o777
        return None, _OWN

    def _point_unset(self) -> None:
        """Not one of the routes that `move_pointer` knows."""
        temporary = self._layout.pointer / ".unset.partial"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(UNSET)
        temporary.rename(live_path(self._layout.pointer))
        sync_directory(self._layout.pointer)


def read_text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
