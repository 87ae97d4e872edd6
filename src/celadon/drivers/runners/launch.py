"""What every runner does before a process exists: the slot's directory, its environment, its launch script."""

import contextlib
import grp
import os
import pwd
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from celadon.host.checkpoint import reached
from celadon.host.environment import read_env, render_env
from celadon.host.files import write_atomic
from celadon.host.layout import COMPOSE, Layout
from celadon.host.text import escape_controls
from celadon.model.address import Address
from celadon.model.errors import StepError
from celadon.model.names import Slot
from celadon.model.processes import WEB
from celadon.model.release import Release

_SHELL_SYNTAX = re.compile(r"[;&|<>()`\n]|\$\(")


class Identity(Struct, frozen=True, kw_only=True):
    """The system user a slot runs as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def find_identity(user: str | None) -> Identity | None:
    """None: stay who we are. Raises StepError (`user_unknown`)."""
    if user is None:
        return None
    try:
        found = pwd.getpwnam(user)
    except KeyError as error:
        raise StepError(f"there is no user {user}", code="user_unknown", next_command=f"adduser {user}") from error
    groups = tuple(os.getgrouplist(user, found.pw_gid))
    return Identity(name=user, uid=found.pw_uid, gid=found.pw_gid, groups=groups, home=found.pw_dir)


def group_name(identity: Identity) -> str:
    return grp.getgrgid(identity.gid).gr_name


def slot_variables(release: Release, slot: Slot, *, address: Address | None, process: str = WEB) -> dict[str, str]:
    """The release's own environment and what every app learns."""
    return read_env(release.path / "env") | own_variables(release, slot, address=address, process=process)


def own_variables(release: Release, slot: Slot, *, address: Address | None, process: str) -> dict[str, str]:
    """Who it is, and where to listen if it does."""
    listen = address.variables if address is not None else {}
    return listen | {
        "CELADON_APP": release.manifest.app,
        "CELADON_SLOT": slot.value,
        "CELADON_RELEASE": release.label,
        "CELADON_PROCESS": process,
    }


def write_slot(
    layout: Layout, slot: Slot, release: Release, *, variables: Mapping[str, str], identity: Identity | None
) -> Path:
    """Write `env` (0600) and `launch`, make room for socket and log. Returns the launch script."""
    begin_slot(layout, slot, variables=variables, identity=identity)
    launch = layout.slot(slot) / "launch"
    write_atomic(launch, render_launch(release, layout.process), mode=0o755)
    reached("slot_written")
    return launch


def begin_slot(layout: Layout, slot: Slot, *, variables: Mapping[str, str], identity: Identity | None) -> None:
    """What is there before anything runs, whatever runs it: `env` (0600), no socket, an empty log."""
    directory = layout.slot(slot)
    directory.mkdir(parents=True, exist_ok=True)
    if identity is not None and os.geteuid() == 0:
        os.chown(directory, identity.uid, identity.gid)
    write_atomic(directory / "env", render_env(variables), mode=0o600)
    (directory / "app.sock").unlink(missing_ok=True)
    _begin_log(directory / "log")


def clear_slot(layout: Layout, slot: Slot) -> None:
    """Of a slot where nothing runs: its variables need lie nowhere any more, and its socket leads nowhere. `oom` is
    what Podman's monitor leaves where it was started, beside its own number and the container's."""
    for name in ("env", "app.sock", "oom", "pidfile", "conmon-pidfile", COMPOSE):
        (layout.slot(slot) / name).unlink(missing_ok=True)


def _begin_log(path: Path) -> None:
    """A run begins with an empty log, so that its last lines are its own; the run before stays as `log.1`."""
    with contextlib.suppress(FileNotFoundError):
        path.rename(path.with_name("log.1"))


def render_launch(release: Release, process: str) -> str:
    """The user's own command, in the release's tree."""
    line = render_line(release.manifest.settings.process(process).command)
    return f"#!/bin/sh\ncd {shlex.quote(str(release.tree))} || exit 127\n{line}\n"


def render_line(command: str) -> str:
    """A plain command replaces the shell, so that SIGTERM reaches the app and not a shell that keeps it to itself."""
    return command if _SHELL_SYNTAX.search(command) else f"exec {command}"


def tail_file(path: Path, *, lines_count: int) -> list[str]:
    """The last lines of a log, read backwards from its end; at most 64 KiB of it."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 65536))
            lines = stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [escape_controls(line) for line in lines[-lines_count:]]
