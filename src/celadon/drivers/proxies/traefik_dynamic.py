"""What the directory of Traefik's file provider holds, as far as a route of ours depends on it. Reads only.

Traefik reads `.yml`, `.yaml` and `.toml`, subdirectories too, in the order of their names; of two definitions of a
name the first counts. One file that it cannot read keeps everything as it was.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from celadon.drivers.proxies.traefik_text import UserRouter, name_service
from celadon.model.names import AppName

_EXTENSIONS = frozenset({".yml", ".yaml", ".toml"})
_LARGEST_BYTES = 4 << 20
_REFUSING = frozenset(
    {
        "basicauth", "digestauth", "forwardauth", "ipallowlist", "ipwhitelist", "ratelimit", "inflightreq",
        "circuitbreaker", "redirectscheme", "redirectregex", "errors", "retry", "buffering", "compress",
    }
)  # fmt: skip
"""Middlewares that answer in the slot's place, or that change only the answer: a look goes past them."""


class DynamicFile(Struct, frozen=True, kw_only=True):
    """`why` it could not be read, empty when it was. `templated`: only Traefik knows what it says."""

    path: Path
    text: str
    document: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    templated: bool = False


class Named(Struct, frozen=True, kw_only=True):
    """One definition under its name, and the file that it stands in."""

    name: str
    file: DynamicFile
    body: dict[str, Any]


def read_dynamic(directory: Path, *, instead: Mapping[Path, str] | None = None) -> Sequence[DynamicFile]:
    """In Traefik's order. `instead` are texts that stand for those on the disk, of new files too."""
    texts = dict(instead or {})
    paths = {*_list(directory), *(path for path in texts if path.is_relative_to(directory))}
    return [_read(path, texts.get(path)) for path in sorted(paths)]


def find_named(files: Sequence[DynamicFile], kind: str, *, protocol: str = "http") -> dict[str, Named]:
    """Of `routers`, `services`, `middlewares` …"""
    found: dict[str, Named] = {}
    for file in files:
        for name, body in _table(_table(file.document, protocol), kind).items():
            if isinstance(body, dict):
                found.setdefault(str(name), Named(name=str(name), file=file, body=body))
    return found


def find_users(files: Sequence[DynamicFile], app: AppName) -> Sequence[Named]:
    """The routers that name the app's service, ours left out."""
    ours = name_service(app)
    return [
        router
        for router in find_named(files, "routers").values()
        if str(router.body.get("service", "")).removesuffix("@file") == ours and not router.name.startswith(f"{ours}_")
    ]


def describe_router(router: Named, files: Sequence[DynamicFile]) -> UserRouter:
    body = router.body
    rule = str(body.get("rule", ""))
    tls = body.get("tls")
    middlewares = tuple(map(str, body.get("middlewares") or ()))
    return UserRouter(
        name=router.name,
        rule=rule,
        entry_points=tuple(map(str, body.get("entryPoints") or ())),
        middlewares=middlewares,
        look_middlewares=tuple(_passable(middlewares, find_named(files, "middlewares"))),
        priority=int(body.get("priority") or 0) or len(rule.encode()),
        tls_options=None if tls is None else str(_table({"tls": tls}, "tls").get("options") or ""),
    )


def list_middlewares(router: Mapping[str, Any], files: Sequence[DynamicFile]) -> frozenset[str]:
    """Every name in its chain, the parts of chains too, without the provider where it is the file's."""
    known = find_named(files, "middlewares")
    return frozenset(name for name, _ in _flatten(tuple(map(str, router.get("middlewares") or ())), known))


def _passable(names: Sequence[str], known: Mapping[str, Named]) -> Iterator[str]:
    for name, kind in _flatten(names, known):
        if kind not in _REFUSING and not name.startswith("celadon-"):
            yield name


def _flatten(names: Sequence[str], known: Mapping[str, Named], depth: int = 0) -> Iterator[tuple[str, str]]:
    """(name, kind). The kind of what another provider defines is not known: empty."""
    for name in (each.removesuffix("@file") for each in names):
        body = known[name].body if name in known else {}
        kind = next(iter(body), "")
        parts = _table(body, kind).get("middlewares") if kind.lower() == "chain" else None
        if isinstance(parts, list) and depth < 8:
            yield from _flatten(tuple(map(str, parts)), known, depth + 1)
        else:
            yield name, kind.lower()


def _list(directory: Path) -> Iterator[Path]:
    if directory.is_dir():
        yield from (path for path in directory.rglob("*") if path.suffix.lower() in _EXTENSIONS and not path.is_dir())


def _read(path: Path, text: str | None) -> DynamicFile:
    try:
        if text is None:
            raw = path.read_bytes()
            if len(raw) > _LARGEST_BYTES:
                return DynamicFile(path=path, text="", why=f"{path} is larger than 4 MiB")
            text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        return DynamicFile(path=path, text="", why=f"{path}: {error}")
    if "{{" in text:
        return DynamicFile(path=path, text=text, templated=True)
    try:
        return DynamicFile(path=path, text=text, document=parse_document(text, path))
    except ValueError as error:
        return DynamicFile(path=path, text=text, why=f"{path}: {error}")


def parse_document(text: str, path: Path) -> dict[str, Any]:
    """YAML or TOML by the file's name. Raises ValueError in one line."""
    if path.suffix.lower() == ".toml":
        return tomllib.loads(text)
    import yaml

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    if found is not None and not isinstance(found, dict):
        raise ValueError("it is no table of settings")
    return found or {}


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}
