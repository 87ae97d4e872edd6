"""Podman, which has no daemon: nothing starts a container again when it has ended or when the machine was restarted."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from celadon.drivers.runners.containers import Container, ContainerRunner, Main
from celadon.host.engine import Engine
from celadon.host.layout import Layout
from celadon.host.processes import identify
from celadon.model.address import Address
from celadon.model.names import Slot
from celadon.model.observed import Finding, SlotView, problem, warning
from celadon.model.release import Release
from celadon.model.settings import HOST_NETWORK, Settings

_PID_FILES = ("pidfile", "conmon-pidfile")
_INITS = (Path("/usr/libexec/podman/catatonit"), Path("/usr/lib/podman/catatonit"))


class PodmanRunner(ContainerRunner):
    def __init__(self, layout: Layout, settings: Settings) -> None:
        super().__init__(layout, settings, Engine("podman"))

    def check(self) -> Sequence[Finding]:
        text = "a container that crashes is not started again, and after a reboot `celadon recover` starts it"
        found = [*super().check(), warning("runner podman", text, fix='[web]\nrunner = "docker"')]
        if self._settings.web.container.init and not (shutil.which("catatonit") or any(map(Path.exists, _INITS))):
            found.append(problem("runner podman", "its init, catatonit, is not installed", fix="apt install catatonit"))
        return found

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        """Nothing starts containers at boot; `celadon recover` does, which is run then where systemd is."""

    def _list_more(self, slot: Slot) -> Sequence[str]:
        return [f"--{name}={self._layout.slot(slot) / name}" for name in _PID_FILES]

    def _view_started(self, slot: Slot, release: Release, *, printed: str) -> SlotView:
        """By what it left in the slot's directory: to ask it takes as long as half a start. What has ended by now is
        asked for."""
        main, monitor = (_read_pid(self._layout.slot(slot) / name) for name in _PID_FILES)
        process = identify(main)
        if process is None:
            return super()._view_started(slot, release, printed=printed)
        has_port = self._find_address(slot) is not None and self._settings.web.container.network != HOST_NETWORK
        self._mains[slot] = Main(
            process=process,
            container=printed.rsplit(maxsplit=1)[-1],
            release=release.number,
            restarts_count=0,
            forwarders=(monitor,) if has_port and monitor else (),
        )
        return self._view_main(slot, self._mains[slot])

    def _find_forwarders(self, container: Container, address: Address) -> tuple[int, ...]:  # noqa: ARG002
        """The container's own monitor holds the port open, so that nobody else takes it; the kernel forwards."""
        monitor = container.state.conmon_pid
        return (monitor,) if monitor and container.addresses else ()


def _read_pid(path: Path) -> int:
    """0, which is nobody's, where it has not been written."""
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0
