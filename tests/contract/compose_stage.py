"""A stage of containers whose releases are Compose projects, as Compose has read them."""

from pathlib import Path
from typing import Any

from celadon.drivers.runners.compose import ComposeRunner
from celadon.host.compose import write_project
from celadon.model.compose_project import TREE, Project
from celadon.model.release import Release
from tests.contract.container_engines import IMAGE
from tests.contract.container_promises import ContainerStage


class ComposeStage(ContainerStage):
    """`services` and `volumes` are what the file has beside `web`; `more` is what it says of that one."""

    def __init__(self, base: Path, *, app: str = "shop") -> None:
        super().__init__(base, ComposeRunner, "docker", app=app)
        self.services: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any] | None] = {}
        self.more: dict[str, Any] = {}

    def other(self, app: str) -> "ComposeStage":
        return ComposeStage(self.base / "other", app=app)

    def make_release(self, number: int, script: str, **container: Any) -> Release:
        """What the other runners are told by settings stands in the file."""
        volumes = [f"{TREE}:/app", *(each.removeprefix("--volume=") for each in container.pop("options", ()))]
        init = container.pop("init", True)
        release = super().make_release(number, script, **container)
        web = {"image": IMAGE, "init": init, "volumes": volumes} | self._say_limits() | self.more
        services = {"web": web} | self.services
        write_project(release.path, Project(services=services, volumes=self.volumes))
        return release

    def _say_limits(self) -> dict[str, Any]:
        limits = self.settings.web.limits
        if limits.memory_bytes is None:
            return {}
        files = {"soft": limits.open_files_count, "hard": limits.open_files_count}
        return {
            "mem_limit": str(limits.memory_bytes),
            "memswap_limit": str(limits.memory_bytes),
            "cpus": (limits.cpu_percent or 0) / 100,
            "pids_limit": limits.tasks_count,
            "ulimits": {"nofile": files},
        }
