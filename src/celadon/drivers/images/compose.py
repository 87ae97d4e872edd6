"""The images of a Compose project's services, and the project itself: read by Compose when the release is made.

Each service's image is kept by a tag of its own, `<app>.<service>.r<number>`; the release is known by that of the
service that answers. A shared service that is there already is left as it is, and refused if it is to be another one.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace

from celadon.contracts.images import RunStep
from celadon.drivers.images.engine import REPOSITORY, EngineImages, image_tag
from celadon.host.compose import Shared, find_compose, list_shared_containers, read_project, write_project
from celadon.host.engine import Engine
from celadon.host.environment import read_env
from celadon.host.files import write_atomic
from celadon.model.compose_project import (
    Definition,
    Project,
    digest_definition,
    find_below,
    find_unknown,
    list_beside,
    list_needed,
    list_networks,
    list_own,
    list_published,
    list_shared,
    mark_tree,
    place_paths,
)
from celadon.model.errors import StepError
from celadon.model.names import ReleaseNumber
from celadon.model.settings import Settings

_BUILD_FILE = "build.json"
_PARTS = ("services", "networks", "volumes", "secrets", "configs")


class ComposeImages(EngineImages):
    """Implements contracts.images.Images."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(Engine("docker"), settings.app, settings.web.container)
        self._whole = settings

    def make(self, number: ReleaseNumber, tree: Path, *, run: RunStep) -> str:
        project, there = self._read(tree)
        wanted = [name for name in self._list_run(project) if name not in there]
        built = [name for name in wanted if project.services[name].get("build")]
        if built:
            self._build_services(project, number, tree, names=built, run=run)
        for name in wanted:
            if name not in built:
                self._keep(self._find_pulled(project.services[name], name, run=run), self._name_of(name, number))
        return self._write(project, number, tree, names=wanted)

    def keep(self, number: ReleaseNumber, image: str, *, tree: Path, base: Path) -> None:  # noqa: ARG002
        """The file is read anew: what it asks the environment for may be other now."""
        project, _ = self._read(tree)
        had = read_project(base).services
        names = [name for name in project.services if str(had.get(name, {}).get("image")).startswith(f"{REPOSITORY}:")]
        for name in names:
            self._keep(had[name]["image"], self._name_of(name, number))
        self._write(project, number, tree, names=names)

    def _read(self, tree: Path) -> tuple[Project, Mapping[str, Shared]]:
        """And the shared services that are there. Raises StepError where the two do not go together."""
        project = self._read_project(tree)
        mistakes = list(_find_mistakes(project, self._whole))
        if mistakes:
            raise self._refuse("; ".join(mistakes))
        there = list_shared_containers(self._engine, self._app)
        version = find_compose().read_version() if there else ""
        for name in list_shared(project, self._whole):
            if name in there and _is_other(there[name], project.services[name], version=version):
                raise StepError(
                    f"the shared service {name} is another one in {self._whole.web.compose.file} than what runs as "
                    f"{there[name].name}, and both slots use that: it is not made anew by a deploy; removed by hand "
                    "it is started as the file says now, with its volumes",
                    code="shared_changed",
                    next_command=f"docker rm --force {there[name].name}",
                )
        return project, there

    def _read_project(self, tree: Path) -> Project:
        path = tree / self._whole.web.compose.file
        words = ("--project-name", self._app, "--file", str(path), "config")
        done = find_compose().call(*words, variables=read_env(tree.parent / "env"))
        if not done.ok:
            raise self._refuse(done.output)
        project = parse_project(done.stdout, str(tree))
        if outside := find_below(project.services, str(tree.parent.parent)):
            raise self._refuse(f"{', '.join(sorted(outside))} leads out of the release")
        return project

    def _refuse(self, what: str) -> StepError:
        file = self._whole.web.compose.file
        shown = f"{' '.join(find_compose().program)} --file {file} config"
        return StepError(f"{file}: {what}", code="compose_refused", next_command=shown)

    def _list_run(self, project: Project) -> list[str]:
        taken = {*list_own(self._whole), *list_beside(project, self._whole), *list_shared(project, self._whole)}
        return [name for name in project.services if name in taken]

    def _name_of(self, service: str, number: ReleaseNumber) -> str:
        return f"{REPOSITORY}:{image_tag(f'{self._app}.{service}', number)}"

    def _build_services(
        self, project: Project, number: ReleaseNumber, tree: Path, *, names: Sequence[str], run: RunStep
    ) -> None:
        """Under the tags that keep them, by a file that has nothing else in it."""
        services = {
            name: {"build": project.services[name]["build"], "image": self._name_of(name, number)} for name in names
        }
        document: dict[str, Any] = {"version": project.version} if project.version else {}
        document = place_paths(document | {"services": services}, lambda path: tree / path)
        path = tree.parent / _BUILD_FILE
        write_atomic(path, json.dumps(document), mode=0o600)
        own = (*find_compose().program, "--project-name", f"celadon-{self._app}", "--file", str(path))
        try:
            run([*own, "build", "--force-rm", *names])
        finally:
            path.unlink(missing_ok=True)

    def _find_pulled(self, definition: Definition, name: str, *, run: RunStep) -> str:
        """A name means what it means now; one that is not there is pulled."""
        image = definition.get("image")
        if not image:
            raise self._refuse(f"service {name} has neither an image nor a build")
        if self._identify(image) is None:
            run([self._engine.program, "pull", "--quiet", image])
        return self._require(image)

    def _write(self, project: Project, number: ReleaseNumber, tree: Path, *, names: Sequence[str]) -> str:
        pinned = {name: project.services[name] | {"image": self._name_of(name, number)} for name in names}
        digests = {name: digest_definition(project.services[name]) for name in list_shared(project, self._whole)}
        write_project(tree.parent, replace(project, services=project.services | pinned, digests=digests))
        return self._require(self._name_of(self._whole.web.compose.service, number))


def parse_project(text: str, tree: str) -> Project:
    """Pure. What `config` printed of a file in `tree`."""
    read = mark_tree(yaml.safe_load(text), tree)
    version = read.get("version")
    return Project(**{part: read.get(part) or {} for part in _PARTS}, version=None if version is None else str(version))


def _is_other(shared: Shared, definition: Definition, *, version: str) -> bool:
    """One that another version of Compose has read is not to be compared."""
    told, _, digest = shared.definition.rpartition(":")
    return told == version and digest != digest_definition(definition)


def _find_mistakes(project: Project, settings: Settings) -> Iterator[str]:
    """What cannot be there twice, or not apart from what it needs."""
    compose = settings.web.compose
    if unknown := find_unknown(project, {*list_own(settings), *compose.shared}):
        yield f"has no service {', '.join(unknown)}; there are {', '.join(sorted(project.services))}"
        return
    web, port = project.services[compose.service], settings.web.container.port
    if "network_mode" in web:
        yield f"service {compose.service} has a `network_mode`; it is reached by a port of its own network"
    published = list_published(web)
    if published and port not in published:
        yield f"service {compose.service} listens on {published.pop()}; say so as `web.container.port`"
    beside = list_beside(project, settings)
    together = {compose.service, *beside}
    for name in (*list_own(settings), *beside):
        yield from _find_own_mistakes(project.services[name], name, together if name in together else {name})
    for name in compose.shared:
        if apart := list_needed(project.services[name]) - set(compose.shared):
            yield f"shared service {name} needs {', '.join(sorted(apart))}, which is not shared"


def _find_own_mistakes(definition: Definition, name: str, together: Collection[str]) -> Iterator[str]:
    if apart := list_needed(definition) - set(together):
        yield f"service {name} needs {', '.join(sorted(apart))}, which does not run with it; it is reached by its name"
    for network, each in list_networks(definition).items():
        if each.get("ipv4_address") or each.get("ipv6_address"):
            yield f"service {name} has a fixed address on {network}, which two slots cannot have"
