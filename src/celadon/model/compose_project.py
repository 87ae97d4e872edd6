"""A Compose project as a release has it: what Compose itself made of the user's file, read once. Pure.

Each service is one of four: the one that answers, one that a process of the app names, one that both slots share, and
what is left, which runs beside the web process. A definition is Compose's own, in its own words; a `$` in it is
written twice, as in the file.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from typing import Any, TypeVar

from msgspec import Struct

from celadon.model.names import AppName, Slot
from celadon.model.processes import WEB
from celadon.model.settings import Settings

Definition = Mapping[str, Any]
T = TypeVar("T")

TREE = "@tree"
"""Begins a path in the release's tree, which is renamed after the file was read."""
DEFAULT_NETWORK = "default"
_IN_TREE = re.compile(rf"{TREE}((?:/[^:]*)?)(?=:|\Z)")
_ELSEWHERE = ("network_mode", "pid", "ipc")
_OF_SERVICE, _OF_CONTAINER = "service:", "container:"


class Mount(Struct, frozen=True):
    """`source` is a path, or the name of a volume."""

    source: str
    is_volume: bool


class Project(Struct, frozen=True, kw_only=True):
    """`version` is the file format's, where Compose wants it said. `digests` are of shared services, as they stand in
    the user's file."""

    services: dict[str, dict[str, Any]]
    version: str | None = None
    networks: dict[str, dict[str, Any] | None] = {}
    volumes: dict[str, dict[str, Any] | None] = {}
    secrets: dict[str, dict[str, Any] | None] = {}
    configs: dict[str, dict[str, Any] | None] = {}
    digests: dict[str, str] = {}


def find_service(settings: Settings, process: str) -> str:
    """A process that names none runs its command in the one that answers."""
    return settings.process(process).service or settings.web.compose.service


def list_own(settings: Settings) -> set[str]:
    """Services that are a process of the app."""
    named = {worker.service for worker in settings.workers} | {settings.release.service if settings.release else ""}
    return (named - {""}) | {settings.web.compose.service}


def list_beside(project: Project, settings: Settings) -> list[str]:
    """Those without which the web process is not whole, as what it passes requests on to. One of a profile is not."""
    taken = list_own(settings) | set(settings.web.compose.shared)
    return [name for name, each in project.services.items() if name not in taken and not each.get("profiles")]


def list_shared(project: Project, settings: Settings) -> list[str]:
    return [name for name in project.services if name in settings.web.compose.shared]


def digest_definition(definition: Definition) -> str:
    return sha256(json.dumps(definition, sort_keys=True, default=str).encode()).hexdigest()[:16]


def list_networks(definition: Definition) -> dict[str, dict[str, Any]]:
    """Name in the file → how the service is there. Empty where it has no network of its own."""
    if "network_mode" in definition:
        return {}
    given = definition.get("networks") or {DEFAULT_NETWORK: None}
    return {name: dict(given[name] or {}) if isinstance(given, dict) else {} for name in given}


def list_mounts(definition: Definition) -> list[Mount]:
    return [mount for each in definition.get("volumes") or () if (mount := _read_mount(each)) is not None]


def _read_mount(value: Any) -> Mount | None:
    if isinstance(value, dict):
        source, kind = value.get("source"), value.get("type")
        return Mount(source, kind == "volume") if source and kind in {"bind", "volume"} else None
    source, colon, _ = str(value).partition(":")
    return Mount(source, source[0] not in "/.~@") if colon else None


def list_needed(definition: Definition) -> set[str]:
    """Services that it cannot be without: whose network or volumes it uses, or that it knows by another name."""
    modes = (str(definition.get(key) or "") for key in _ELSEWHERE)
    found = {mode.removeprefix(_OF_SERVICE) for mode in modes if mode.startswith(_OF_SERVICE)}
    links = (str(link).partition(":") for link in definition.get("links") or ())
    found |= {name for name, _, alias in links if alias and alias != name}
    others = (str(each).removeprefix(_OF_SERVICE) for each in definition.get("volumes_from") or ())
    return found | {each.partition(":")[0] for each in others if not each.startswith(_OF_CONTAINER)}


def list_published(definition: Definition) -> set[int]:
    """Ports inside, TCP's."""
    return {port for each in definition.get("ports") or () if (port := _read_target(each)) is not None}


def _read_target(value: Any) -> int | None:
    target = value.get("target") if isinstance(value, dict) else str(value).rpartition(":")[2]
    protocol = value.get("protocol", "tcp") if isinstance(value, dict) else "tcp"
    number, slash, named = str(target).partition("/")
    return int(number) if number.isdigit() and (named if slash else protocol) == "tcp" else None


def mark_tree(node: T, tree: str) -> T:
    """Paths in `tree` begin with TREE instead."""
    inside = re.compile(rf"{re.escape(tree)}(?=[/:]|\Z)")
    return map_text(node, lambda text: inside.sub(TREE, text, count=1) if text.startswith(tree) else text)


def find_below(node: object, directory: str) -> set[str]:
    """Texts that begin with a path there, as far as the path goes."""
    found: set[str] = set()

    def take(text: str) -> str:
        found.update({text.partition(":")[0]} if text.startswith(f"{directory}/") else ())
        return text

    map_text(node, take)
    return found


def place_paths(node: T, place: Callable[[str], object]) -> T:
    """With each path of the tree where it lies: `place` is given the relative one."""

    def put(text: str) -> str:
        match = _IN_TREE.match(text)
        return text if match is None else f"{place(match[1].strip('/'))}{text[match.end() :]}"

    return map_text(node, put)


def map_text(node: T, change: Callable[[str], str]) -> T:
    """Values, not names."""
    made: Any = node
    if isinstance(node, str):
        made = change(node)
    elif isinstance(node, dict):
        made = {key: map_text(value, change) for key, value in node.items()}
    elif isinstance(node, list):
        made = [map_text(value, change) for value in node]
    return made  # type: ignore[no-any-return]


def slot_project(app: AppName, slot: Slot, *, process: str = WEB) -> str:
    """What Compose knows the slot's containers by. No app's name has an underscore, no process's either."""
    return f"celadon-{app}-{slot}" if process == WEB else f"celadon-{app}_{process.replace('.', '_')}-{slot}"


def shared_project(app: AppName) -> str:
    return f"celadon-{app}_shared"


def slot_network(app: AppName, slot: Slot, *, name: str) -> str:
    return f"celadon-{app}-{slot}" if name == DEFAULT_NETWORK else f"celadon-{app}-{slot}_{name}"


def is_external(project_part: Mapping[str, dict[str, Any] | None], name: str) -> bool:
    return bool((project_part.get(name) or {}).get("external"))


def volume_name(project: Project, app: AppName, *, name: str) -> str:
    """One for both slots: the name that Compose gives it in a directory that is called as the app. Somebody else's has
    its own."""
    given = (project.volumes.get(name) or {}).get("name")
    return str(given or (name if is_external(project.volumes, name) else f"{app}_{name}"))


def find_unknown(project: Project, names: Collection[str]) -> list[str]:
    return sorted(name for name in names if name not in project.services)
