"""Compose: a slot is a project of its own, made of the release's; what both slots share is one more.

Compose makes containers and nothing else of ours; they are looked at, stopped and removed by Docker, as its own runner
does it, found by their labels. A shared service that is there is never stopped and never made anew.
"""

import os
import shutil
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from celadon.drivers.runners.compose_files import Place, list_group, render_shared, render_slot
from celadon.drivers.runners.containers import container_name, inside_address
from celadon.drivers.runners.docker import DockerRunner
from celadon.drivers.runners.launch import find_identity, own_variables, slot_variables
from celadon.host.commands import Completed
from celadon.host.compose import find_compose, list_shared_containers, read_project, render_yaml
from celadon.host.files import write_atomic
from celadon.host.layout import COMPOSE
from celadon.model.compose_project import (
    Definition,
    Project,
    is_external,
    list_mounts,
    list_networks,
    list_shared,
    place_paths,
    shared_project,
    slot_network,
    slot_project,
    volume_name,
)
from celadon.model.errors import StepError
from celadon.model.labels import APP, BESIDE, SLOT
from celadon.model.names import Slot
from celadon.model.observed import Finding, SlotView, problem
from celadon.model.processes import WEB
from celadon.model.release import Release
from celadon.model.settings import Settings

_SHARED_FILE = "shared-services.json"
_HEALTHY_WITHIN_S = 120.0
_ASK_EVERY_S = 0.2
_NETWORK_FLAGS = {"internal": "--internal", "attachable": "--attachable", "enable_ipv6": "--ipv6"}


class ComposeRunner(DockerRunner):
    def check(self) -> Sequence[Finding]:
        try:
            find_compose()
        except StepError as error:
            return [*super().check(), problem("runner compose", error.what, fix=error.next_command)]
        return super().check()

    def set_boot(self, slot: Slot, *, enabled: bool) -> None:
        super().set_boot(slot, enabled=enabled)
        if beside := self._list_beside(slot):
            policy = "always" if enabled else "no"
            self._engine.require("update", f"--restart={policy}", *beside, code="boot_not_set")

    def _run(self, slot: Slot, release: Release, *, settings: Settings, image: str) -> Completed:  # noqa: ARG002
        project = read_project(release.path)
        self._ensure_shared(project, release, settings)
        group = [project.services[name] for name in list_group(project, settings, self._process)]
        self._ensure_networks(project, group, slots=[slot])
        self._ensure_volumes(project, group)
        outside = self._find_address(slot)
        address = inside_address(settings, outside) if outside is not None else None
        document = render_slot(
            project,
            Place(settings=settings, slot=slot, release=release, process=self._process),
            variables=slot_variables(release, slot, address=address, process=self._process),
            own=own_variables(release, slot, address=address, process=self._process),
        )
        placed = place_paths(document, lambda path: self._place(path, release, settings))
        return _up(slot_project(settings.app, slot, process=self._process), self._layout.slot(slot) / COMPOSE, placed)

    def _view_started(self, slot: Slot, release: Release, *, printed: str) -> SlotView:  # noqa: ARG002
        """Compose prints no id, but has just given this name. What the image's tag meant is looked at here, since newer
        Compose takes no image's id."""
        container = self._inspect(container_name(self._settings.app, slot, process=self._process))
        if container is not None and self._process == WEB and container.image != release.manifest.image:
            self.stop(slot, grace_s=0.0)
            text = f"the image of {release.label} is another one than it was made with: {container.image}"
            raise StepError(text, code="image_missing", next_command="celadon deploy")
        return self._view(slot, container)

    def _end_beside(self, slot: Slot, *, grace_s: float) -> None:
        if beside := self._list_beside(slot):
            self._engine.call("stop", f"--time={int(grace_s)}", *beside, timeout_s=grace_s + _HEALTHY_WITHIN_S)
            self._engine.require("rm", "--force", "--volumes", *beside, code="not_stopped")
        self._remove_networks(slot)

    def _list_beside(self, slot: Slot) -> list[str]:
        if self._process != WEB:
            return []
        labels = (f"{APP}={self._settings.app}", f"{SLOT}={slot}", BESIDE)
        filters = [f"--filter=label={label}" for label in labels]
        return self._engine.require("ps", "--all", "--quiet", "--no-trunc", *filters, code="engine_refused").split()

    def _place(self, path: str, release: Release, settings: Settings) -> Path:
        """What the release has not brought is data: it lies in the app's shared directory, or it would go with the
        release."""
        own, kept = release.tree / path, self._layout.shared / path
        if os.path.lexists(own):
            return own
        if not kept.exists():
            self._begin_directory(kept, settings)
        return kept

    def _begin_directory(self, kept: Path, settings: Settings) -> None:
        kept.mkdir(parents=True)
        identity = find_identity(settings.user)
        if identity is not None:
            os.chown(kept, identity.uid, identity.gid)

    def _ensure_networks(self, project: Project, definitions: Collection[Definition], *, slots: Sequence[Slot]) -> None:
        """As the file has them, one for each slot. One that is there already is taken as it is."""
        wanted = {name for each in definitions for name in list_networks(each)}
        for name in sorted(name for name in wanted if not is_external(project.networks, name)):
            said = project.networks.get(name) or {}
            words = [flag for key, flag in _NETWORK_FLAGS.items() if said.get(key)]
            words += [f"--driver={said['driver']}"] if said.get("driver") else []
            words += [f"--opt={key}={value}" for key, value in (said.get("driver_opts") or {}).items()]
            for slot in slots:
                labels = [f"--label={APP}={self._settings.app}", f"--label={SLOT}={slot}"]
                own = slot_network(self._settings.app, slot, name=name)
                done = self._engine.call("network", "create", *labels, *words, own)
                if not done.ok and "already exists" not in done.output:
                    raise StepError(
                        f"docker network create: {done.output}", code="start_failed", next_command="docker network ls"
                    )

    def _remove_networks(self, slot: Slot) -> None:
        """When nothing is on them, running or not: what Docker starts again needs its network."""
        app = f"--filter=label={APP}={self._settings.app}"
        listed = ("network", "ls", "--quiet", app, f"--filter=label={SLOT}={slot}")
        networks = self._engine.require(*listed, code="engine_refused").split()
        if not networks:
            return
        told = ("ps", "--all", app, f'--format={{{{.Label "{SLOT}"}}}}')
        if {"", slot.value}.isdisjoint(self._engine.require(*told, code="engine_refused").splitlines()):
            self._engine.call("network", "rm", *networks)

    def _ensure_volumes(self, project: Project, definitions: Collection[Definition]) -> None:
        wanted = {mount.source for each in definitions for mount in list_mounts(each) if mount.is_volume}
        for name in sorted(name for name in wanted if not is_external(project.volumes, name)):
            said, own = project.volumes.get(name) or {}, volume_name(project, self._settings.app, name=name)
            words = [f"--driver={said['driver']}"] if said.get("driver") else []
            words += [f"--opt={key}={value}" for key, value in (said.get("driver_opts") or {}).items()]
            label = f"--label={APP}={self._settings.app}"
            self._engine.require("volume", "create", label, *words, own, code="start_failed")

    def _ensure_shared(self, project: Project, release: Release, settings: Settings) -> None:
        names = list_shared(project, settings)
        if not names:
            return
        there = list_shared_containers(self._engine, self._settings.app)
        ended = [there[name].id for name in names if name in there and not there[name].is_up]
        if ended:
            self._engine.require("start", *ended, code="shared_not_started")
        missing = [name for name in names if name not in there]
        if missing:
            self._start_shared(project, release, missing, settings=settings)
        if ended or missing:
            self._await_healthy(names)

    def _start_shared(self, project: Project, release: Release, names: list[str], *, settings: Settings) -> None:
        definitions = [project.services[name] for name in names]
        self._refuse_in_use(project, definitions)
        self._ensure_networks(project, definitions, slots=list(Slot))
        self._ensure_volumes(project, definitions)
        document = render_shared(project, settings.app, names, version=find_compose().read_version())
        placed = place_paths(document, lambda path: self._place_shared(path, release, settings))
        path = self._layout.home / _SHARED_FILE
        try:
            done = _up(shared_project(settings.app), path, placed, "--no-recreate", *names)
        finally:
            path.unlink(missing_ok=True)
        if not done.ok:
            text = f"shared services {', '.join(names)}: {done.output}"
            raise StepError(text, code="shared_not_started", next_command="docker ps --all")

    def _refuse_in_use(self, project: Project, definitions: Collection[Definition]) -> None:
        """Two databases on one volume destroy it: as of one that runs already, by the user's own `compose up`."""
        sources = {mount.source for each in definitions for mount in list_mounts(each) if mount.is_volume}
        for name in sorted(sources):
            volume = volume_name(project, self._settings.app, name=name)
            fields = f'--format={{{{.Names}}}} {{{{.Label "{APP}"}}}}'
            listed = self._engine.require("ps", f"--filter=volume={volume}", fields, code="engine_refused")
            for container, _, app in (line.partition(" ") for line in listed.splitlines()):
                if app != self._settings.app:
                    text = f"volume {volume} is in use by the container {container}; it would be written by two"
                    raise StepError(text, code="volume_in_use", next_command=f"docker stop {container}")

    def _place_shared(self, path: str, release: Release, settings: Settings) -> Path:
        """A release goes, a shared service stays: its paths are in the app's shared directory, and begin with what the
        release has there."""
        own, kept = release.tree / path, self._layout.shared / path
        if kept.exists():
            return kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        if own.is_dir():
            shutil.copytree(own, kept, symlinks=True)
        elif own.is_file():
            shutil.copy2(own, kept)
        else:
            self._begin_directory(kept, settings)
        return kept

    def _await_healthy(self, names: Collection[str]) -> None:
        """Those that say how to know. Compose waits for them within a project only."""
        until_s = time.monotonic() + _HEALTHY_WITHIN_S
        there = list_shared_containers(self._engine, self._settings.app)
        ids = [there[name].id for name in names if name in there]
        fields = "{{.Name}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}"
        while True:
            told = self._engine.require("inspect", f"--format={fields}", *ids, code="engine_refused").splitlines()
            waiting = [line.strip(" /") for line in told if line.endswith(("starting", "unhealthy"))]
            if not waiting:
                return
            if time.monotonic() >= until_s:
                text = f"shared services are not healthy after {_HEALTHY_WITHIN_S:g} s: {'; '.join(waiting)}"
                raise StepError(text, code="shared_not_started", next_command=f"docker logs {waiting[0].split()[0]}")
            time.sleep(_ASK_EVERY_S)


def _up(project: str, path: Path, document: Definition, *words: str) -> Completed:
    write_atomic(path, render_yaml(document), mode=0o600)
    own = ("--project-name", project, "--file", str(path))
    return find_compose().call(*own, "up", "--detach", "--no-build", *words)
