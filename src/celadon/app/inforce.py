"""The settings last put in force, written by each deploy. Whatever must work on a bad day reads these and never
celadon.toml."""

import re
from pathlib import Path

import msgspec

from celadon.host.files import write_atomic
from celadon.host.layout import Layout
from celadon.model.errors import UsageError
from celadon.model.names import AppName, Slot, parse_app_name
from celadon.model.settings import Settings

_APP_LINE = re.compile(r"""^\s*app\s*=\s*["']([^"']+)["']""", re.MULTILINE)


def write_in_force(layout: Layout, settings: Settings) -> None:
    layout.home.mkdir(parents=True, exist_ok=True)
    write_atomic(layout.settings, msgspec.json.encode(settings), mode=0o600)


def read_in_force(layout: Layout) -> Settings | None:
    """None before the first deploy."""
    try:
        return msgspec.json.decode(layout.settings.read_bytes(), type=Settings)
    except FileNotFoundError:
        return None


def require_in_force(layout: Layout) -> Settings:
    settings = read_in_force(layout)
    if settings is None:
        raise UsageError(
            f"{layout.app} was never deployed under {layout.root}", code="not_deployed", next_command="celadon deploy"
        )
    return settings


def merge_in_force(settings: Settings, in_force: Settings) -> Settings:
    """A kept release runs with its own command, env and readiness, at the addresses and behind the proxy of today."""
    return msgspec.structs.replace(
        settings,
        web=settings.web.at(in_force.web, *Slot),
        proxy=in_force.proxy,
        switch=in_force.switch,
        observe=in_force.observe,
        drain=in_force.drain,
        assets=in_force.assets,
        keep_count=in_force.keep_count,
    )


def take_env(settings: Settings, given: Settings) -> Settings:
    """`settings` with the variables of `given`, and with where those are read."""
    web = msgspec.structs.replace(settings.web, env=given.web.env, env_file=given.web.env_file)
    return msgspec.structs.replace(settings, web=web, secrets=given.secrets, source=given.source)


def find_app(root: Path, *, config: Path, named: str | None) -> AppName:
    """The app meant by `--app`, by the `app` line of the config (even of a broken one), or the only one there is."""
    if named is not None:
        return _parse(named)
    if config.is_file():
        found = _APP_LINE.search(config.read_text(errors="replace"))
        if found:
            return _parse(found.group(1))
    apps = sorted(path.name for path in (root / "apps").glob("*") if path.is_dir())
    if len(apps) == 1:
        return _parse(apps[0])
    known = f" Known here: {', '.join(apps)}." if apps else ""
    raise UsageError(f"no {config} here and no --app given.{known}", code="app_unknown", next_command="celadon init")


def _parse(text: str) -> AppName:
    try:
        return parse_app_name(text)
    except ValueError as error:
        raise UsageError(str(error), code="app_name", next_command="celadon config") from error
