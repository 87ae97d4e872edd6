"""Compose by its command line: the plugin `docker compose`, or the `docker-compose` that was before it. Only words
that both understand."""

import os
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from celadon.host.commands import Completed, run_command
from celadon.host.engine import Engine
from celadon.host.files import write_atomic
from celadon.host.layout import COMPOSE
from celadon.model.compose_project import Project
from celadon.model.errors import StepError
from celadon.model.labels import APP, DEFINITION, SHARED
from celadon.model.names import AppName

_PLUGIN, _PROGRAM = ("docker", "compose"), ("docker-compose",)
_UP_TIMEOUT_S = 120.0
_ASKED_FOR_S = 30.0
_ASCII_END = 0x7E
_SHORT_END = 0xFFFF


class Shared(Struct, frozen=True):
    """A container that both slots use. `definition` is the label of what it was started by."""

    id: str
    state: str
    name: str
    definition: str

    @property
    def is_up(self) -> bool:
        return self.state not in {"created", "exited", "dead"}


class Compose(Struct, frozen=True):
    """`program` is the beginning of every argv. None of its own variables is passed on: what they would have it do is
    not what celadon.toml says."""

    program: tuple[str, ...]

    def call(
        self, *words: str, timeout_s: float = _UP_TIMEOUT_S, variables: Mapping[str, str] | None = None
    ) -> Completed:
        """`variables` are what the file may ask for by `${NAME}`."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
        kept = {name: value for name, value in own.items() if name == "PATH" or name.startswith("DOCKER_")}
        env = {**own, **(variables or {}), **kept}
        return run_command([*self.program, *words], timeout_s=timeout_s, env=env)

    def read_version(self) -> str:
        """Of the old program there will be no other, and it takes a second to say so."""
        if self.program == _PROGRAM:
            return "1"
        return self.call("version", "--short", timeout_s=_ASKED_FOR_S).stdout.strip().removeprefix("v")


@cache
def find_compose() -> Compose:
    """Asked for once: what answers will go on to. Raises StepError (`compose_missing`)."""
    if run_command([*_PLUGIN, "version"], timeout_s=_ASKED_FOR_S).ok:
        return Compose(_PLUGIN)
    if shutil.which(*_PROGRAM):
        return Compose(_PROGRAM)
    raise StepError(
        "neither `docker compose` nor `docker-compose` is installed",
        code="compose_missing",
        next_command="apt install docker-compose",
    )


def list_shared_containers(engine: Engine, app: AppName) -> dict[str, Shared]:
    """By service."""
    fields = ("{{.ID}}", "{{.State}}", "{{.Names}}", f'{{{{.Label "{DEFINITION}"}}}}', f'{{{{.Label "{SHARED}"}}}}')
    words = ("ps", "--all", "--no-trunc", f"--filter=label={APP}={app}", f"--filter=label={SHARED}")
    listed = engine.require(*words, f"--format={' '.join(fields)}", code="engine_refused")
    rows = [line.split() for line in listed.splitlines()]
    return {row[4]: Shared(*row[:4]) for row in rows}


def read_project(directory: Path) -> Project:
    """Of the release in `directory`. Raises StepError (`image_missing`)."""
    try:
        return msgspec.json.decode((directory / COMPOSE).read_bytes(), type=Project)
    except (OSError, msgspec.DecodeError) as error:
        text = f"{directory.name} has no Compose project that can be read: {error}"
        raise StepError(text, code="image_missing", next_command="celadon deploy") from error


def write_project(directory: Path, project: Project) -> None:
    """It may hold values of variables that the file asked for."""
    write_atomic(directory / COMPOSE, msgspec.json.encode(project), mode=0o600)


def render_yaml(document: Mapping[str, object]) -> str:
    """Every string to the letter: JSON is YAML but for what lies beyond ASCII, where the two escape in other ways and
    readers fold lines at more than line feeds."""
    text = msgspec.json.encode(document).decode()
    return "".join(character if ord(character) < _ASCII_END + 1 else _escape(character) for character in text)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number <= _SHORT_END else f"\\U{number:08x}"
