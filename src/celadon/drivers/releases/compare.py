"""What is new in a release beside the live one, by name: what a variable or a setting holds is told to nobody."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from celadon.events import ReleaseCompared
from celadon.host.environment import read_env
from celadon.model.release import Release
from celadon.model.settings import Settings

_OF_THE_ENVIRONMENT = ("web.env", "web.env_file", "secrets")
_UNIT = re.compile(r"_(s|count|bytes|percent)\Z")
_TYPED_AS = {"kind": "type", "statuses": "status"}


def compare_releases(release: Release, live: Release) -> ReleaseCompared:
    """Raises OSError or ValueError where the variables of one cannot be read."""
    new, old = (read_env(each.path / "env") for each in (release, live))
    return ReleaseCompared(
        release=release.number,
        live=live.number,
        files_differ=release.manifest.tree_digest != live.manifest.tree_digest,
        env_added=tuple(sorted(new.keys() - old.keys())),
        env_changed=tuple(sorted(name for name in new.keys() & old.keys() if new[name] != old[name])),
        env_removed=tuple(sorted(old.keys() - new.keys())),
        settings_changed=find_changed_settings(live.manifest.settings, release.manifest.settings),
    )


def find_changed_settings(old: Settings, new: Settings) -> tuple[str, ...]:
    """Pure. Keys of celadon.toml, sorted, those of the environment left out."""
    one, other = (dict(_list_leaves(msgspec.to_builtins(each), ())) for each in (old, new))
    return tuple(sorted({_key(path) for path in one.keys() | other.keys() if one.get(path) != other.get(path)}))


def _list_leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if ".".join(path) in _OF_THE_ENVIRONMENT:
        return
    if not isinstance(value, Mapping) or not value:
        yield path, value or None
        return
    for name, each in value.items():
        yield from _list_leaves(each, (*path, name))


def _key(path: tuple[str, ...]) -> str:
    if path[:2] in {("web", "blue"), ("web", "green")}:
        return "web.ports"
    if path[:2] in {("web", "blue_more"), ("web", "green_more")}:
        return "web.replicas"
    last = _UNIT.sub("", path[-1])
    return ".".join((*path[:-1], _TYPED_AS.get(last, last)))
