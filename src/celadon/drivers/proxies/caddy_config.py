"""Every file that a Caddyfile reads by `import`, as Caddy reads them. Reads only."""

import glob
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.caddy_disk import read_exactly
from celadon.drivers.proxies.caddy_tokens import Directive, parse_caddyfile, walk

DEFAULT_ADMIN = "localhost:2019"


class CaddyConfig(Struct, frozen=True, kw_only=True):
    """By file: its text, and its directives from the top. `snippets`: by name, where their block stands."""

    main: Path
    texts: Mapping[Path, str]
    directives: Mapping[Path, tuple[Directive, ...]]
    snippets: Mapping[str, Directive]

    def files_of(self, directive: Directive) -> list[Path]:
        """What an `import` names; none for a snippet."""
        if is_snippet_import(directive, self.snippets):
            return []
        return [path for path in self.texts if _names(import_pattern(directive), path)]


def read_config(main: Path, *, instead: Mapping[Path, str] | None = None) -> CaddyConfig:
    """With `instead` in the place of the files that it names. Raises OSError, CaddyfileError."""
    given = dict(instead or {})
    texts: dict[Path, str] = {}
    found: dict[Path, tuple[Directive, ...]] = {}
    waiting = [main]
    while waiting:
        path = waiting.pop(0)
        if path in texts:
            continue
        texts[path] = given[path] if path in given else read_exactly(path)
        found[path] = tuple(parse_caddyfile(texts[path], file=path))
        snippets = dict(_find_snippets(found))
        for directive in walk(found[path]):
            if directive.name == "import" and directive.args and not is_snippet_import(directive, snippets):
                waiting += _match(import_pattern(directive), given)
    return CaddyConfig(main=main, texts=texts, directives=found, snippets=dict(_find_snippets(found)))


def find_admin(config: CaddyConfig) -> str:
    """Where the admin API listens, or `off`."""
    options = next((each for each in config.directives[config.main] if not each.words), None)
    admin = next((each for each in (options.block if options else None) or () if each.name == "admin"), None)
    return admin.args[0] if admin is not None and admin.args else DEFAULT_ADMIN


def import_pattern(directive: Directive) -> str:
    """Relative names are meant from the file's own directory."""
    return os.path.normpath(directive.file.parent.absolute() / directive.args[0])


def is_snippet_import(directive: Directive, snippets: Mapping[str, Directive]) -> bool:
    return bool(directive.args) and directive.args[0] in snippets


def _match(pattern: str, given: Mapping[Path, str]) -> list[Path]:
    on_disk = [Path(path) for path in sorted(glob.glob(pattern))]  # noqa: PTH207 - a pattern that is absolute
    return [path for path in {*on_disk, *(path for path in given if _names(pattern, path))} if not path.is_dir()]


def _names(pattern: str, path: Path) -> bool:
    return str(path) == pattern or (path.match(pattern) and not path.name.startswith("."))


def _find_snippets(found: Mapping[Path, tuple[Directive, ...]]) -> Iterator[tuple[str, Directive]]:
    for directives in found.values():
        for directive in directives:
            name = directive.name
            if directive.block is not None and name.startswith("(") and name.endswith(")"):
                yield name[1:-1], directive
