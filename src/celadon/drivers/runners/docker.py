"""Docker. What is started at boot is its restart policy, since its daemon starts containers itself.

A candidate has no policy until it is enabled: it that ends before has ended, and is told so.
"""

from celadon.drivers.runners.containers import Container, ContainerRunner
from celadon.host.engine import Engine
from celadon.host.layout import Layout
from celadon.host.processes import find_commands
from celadon.model.address import Address
from celadon.model.names import Slot
from celadon.model.settings import Settings

_FORWARDER = "docker-proxy"


class DockerRunner(ContainerRunner):
    def __init__(self, layout: Layout, settings: Settings) -> None:
        super().__init__(layout, settings, Engine("docker"))

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        container, policy = self._find(slot), "always" if enabled else "no"
        if container is None and not enabled:
            return
        target = container.id if container is not None else slot.value
        if container is None or container.host_config.restart_policy.name != policy:
            self._engine.require("update", f"--restart={policy}", target, code="boot_not_set")

    def _find_forwarders(self, container: Container, address: Address) -> tuple[int, ...]:
        """One process a published port, which says in its arguments where it sends to."""
        port = address.variables.get("PORT", "")
        return tuple(
            pid
            for pid, arguments in find_commands(_FORWARDER)
            if _follows(arguments, "-host-port") == port and _follows(arguments, "-container-ip") in container.addresses
        )


def _follows(arguments: list[str], name: str) -> str:
    at = arguments.index(name) + 1 if name in arguments else len(arguments)
    return arguments[at] if at < len(arguments) else ""
