"""Podman, which has no daemon: nothing starts a container again when it has ended or when the machine was restarted."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from celadon.drivers.runners.containers import Container, ContainerRunner
from celadon.host.engine import Engine
from celadon.host.layout import Layout
from celadon.model.names import Slot
from celadon.model.observed import Finding, problem, warning
from celadon.model.settings import Settings

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

    def _find_forwarders(self, container: Container, slot: Slot) -> tuple[int, ...]:  # noqa: ARG002
        """The container's own monitor holds the port open, so that nobody else takes it; the kernel forwards."""
        monitor = container.state.conmon_pid
        return (monitor,) if monitor and container.addresses else ()
