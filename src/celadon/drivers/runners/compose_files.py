"""What Compose is given: for a process of a slot, and for what both slots share. Pure.

Made of the release's project, which is the user's file as Compose reads it. Nothing of a slot is published but the
port that answers, and nothing has a name that the other slot could want: its networks are its own, its volumes the
app's. Networks and volumes are made before; Compose makes containers alone.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from celadon.drivers.runners.containers import container_name, inside_address, render_command, require_port
from celadon.model.compose_project import (
    Definition,
    Project,
    find_service,
    is_external,
    list_beside,
    list_mounts,
    list_networks,
    slot_network,
    volume_name,
)
from celadon.model.labels import APP, BESIDE, DEFINITION, PROCESS, RELEASE, SHARED, SLOT
from celadon.model.names import AppName, Slot
from celadon.model.processes import WEB
from celadon.model.release import Release
from celadon.model.settings import Settings

_OURS = frozenset(
    {"build", "container_name", "depends_on", "env_file", "links", "networks", "ports", "profiles"}
    | {"pull_policy", "restart", "scale"}
)
_DEPLOY_OURS = frozenset({"replicas", "restart_policy", "mode", "placement", "update_config", "rollback_config"})
_AFTER_A_REBOOT = "unless-stopped"
_USUAL_SIGNAL = "SIGTERM"  # where the process says no other, the file's counts


class Place(Struct, frozen=True, kw_only=True):
    """Whose file is made."""

    settings: Settings
    slot: Slot
    release: Release
    process: str

    @property
    def app(self) -> AppName:
        return self.settings.app


def list_group(project: Project, settings: Settings, process: str) -> list[str]:
    """Services that are started and ended together, the process's own first."""
    return [find_service(settings, process), *(list_beside(project, settings) if process == WEB else ())]


def render_slot(project: Project, place: Place, *, variables: Mapping[str, str], own: Mapping[str, str]) -> Definition:
    """The process's service, and with the web process what runs beside it. `own` are those of `variables` that the file
    says nothing about."""
    service, *beside = list_group(project, place.settings, place.process)
    key = service if place.process == WEB else place.process
    main = _render_main(project, place, service, beside=beside)
    said = {name: value for name, value in (main.get("environment") or {}).items() if value is not None}
    main["environment"] = _escape(variables) | said | _escape(own)
    services = {key: main} | {name: _render_beside(project, place, name, beside=beside) for name in beside}
    return _render(project, place.app, services)


def _render_main(project: Project, place: Place, service: str, *, beside: Collection[str]) -> dict[str, Any]:
    """A process that is not the web process is not known by the other names that its service may have."""
    definition, own = project.services[service], place.settings.process(place.process)
    networks = _join(project, place.app, definition, slots=[place.slot])
    if place.process != WEB:
        networks = {name: each | {"aliases": [own.service] if own.service else []} for name, each in networks.items()}
    made = _cut(definition, beside=beside) | {
        "container_name": container_name(place.app, place.slot, process=place.process),
        "labels": _labels(definition) | _slot_labels(place) | {PROCESS: place.process},
        "restart": "no",
        "stop_grace_period": f"{math.ceil(own.stop_timeout_s)}s",
    }
    if words := render_command(own.command):
        made["command"] = [word.replace("$", "$$") for word in words]
    if own.stop_signal != _USUAL_SIGNAL:
        made["stop_signal"] = own.stop_signal
    if own.listens:
        made["ports"] = _publish(place)
    return made | ({"networks": networks} if networks else {})


def _render_beside(project: Project, place: Place, name: str, *, beside: Collection[str]) -> dict[str, Any]:
    definition = project.services[name]
    own = [*beside, find_service(place.settings, WEB)]
    networks = _join(project, place.app, definition, slots=[place.slot])
    made = _cut(definition, beside=own) | {
        "labels": _labels(definition) | _slot_labels(place) | {BESIDE: name},
        "restart": "no",
    }
    return made | ({"networks": networks} if networks else {})


def _publish(place: Place) -> list[str]:
    address = place.settings.web.address(place.slot)
    outside, inside = require_port(address), inside_address(place.settings, address)
    return [f"{outside.host}:{outside.port}:{inside.port}"]


def render_shared(project: Project, app: AppName, names: Collection[str], *, version: str) -> Definition:
    """Those services, on the networks of both slots, by their names."""
    services = {}
    for name in names:
        definition = project.services[name]
        networks = _join(project, app, definition, slots=list(Slot))
        told = {APP: str(app), SHARED: name, DEFINITION: f"{version}:{project.digests.get(name, '')}"}
        own: dict[str, Any] = {key: definition[key] for key in ("ports", "container_name") if key in definition}
        own |= {"labels": _labels(definition) | told, "restart": definition.get("restart") or _AFTER_A_REBOOT}
        own |= {"networks": networks} if networks else {}
        services[name] = _cut(definition, beside=names) | own
    return _render(project, app, services)


def _join(project: Project, app: AppName, definition: Definition, *, slots: Collection[Slot]) -> dict[str, Any]:
    """Name of a network → how the service is there: its own one in each slot, and somebody else's as the file says."""
    joined: dict[str, Any] = {}
    for name, each in list_networks(definition).items():
        own = [slot_network(app, slot, name=name) for slot in slots]
        joined |= dict.fromkeys([name] if is_external(project.networks, name) else own, each)
    return joined


def _cut(definition: Definition, *, beside: Collection[str]) -> dict[str, Any]:
    """Without what is ours to say; of the services that it waits for those that are there."""
    made = {key: value for key, value in definition.items() if key not in _OURS}
    if "deploy" in made:
        made["deploy"] = {key: value for key, value in made["deploy"].items() if key not in _DEPLOY_OURS}
    awaited = definition.get("depends_on") or {}
    kept = {name: awaited[name] if isinstance(awaited, dict) else {} for name in awaited if name in beside}
    if kept:
        made["depends_on"] = kept if isinstance(awaited, dict) else list(kept)
    if links := [link for link in definition.get("links") or () if str(link).partition(":")[0] in beside]:
        made["links"] = links
    return made


def _labels(definition: Definition) -> dict[str, Any]:
    given = definition.get("labels") or {}
    if isinstance(given, dict):
        return dict(given)
    return {name: value for name, _, value in (each.partition("=") for each in given)}


def _slot_labels(place: Place) -> dict[str, str]:
    return {APP: str(place.app), SLOT: place.slot.value, RELEASE: place.release.label}


def _escape(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value.replace("$", "$$") for name, value in variables.items()}


def _render(project: Project, app: AppName, services: Mapping[str, Definition]) -> Definition:
    """With what the services use, all of it made by somebody else."""
    networks = {name for each in services.values() for name in each.get("networks") or ()}
    volumes = {mount.source for each in services.values() for mount in list_mounts(each) if mount.is_volume}
    return {
        **({"version": project.version} if project.version else {}),
        "services": services,
        "networks": {
            name: project.networks[name] if is_external(project.networks, name) else {"external": True, "name": name}
            for name in sorted(networks)
        },
        "volumes": {
            name: project.volumes[name]
            if is_external(project.volumes, name)
            else {"external": True, "name": volume_name(project, app, name=name)}
            for name in sorted(volumes)
        },
        **{part: used for part in ("secrets", "configs") if (used := getattr(project, part))},
    }
