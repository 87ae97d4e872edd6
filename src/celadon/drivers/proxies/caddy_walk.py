"""A Caddyfile's sites, and every place in them that sends requests on, imports and snippets followed. Reads only."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.caddy_config import CaddyConfig
from celadon.drivers.proxies.caddy_tokens import Directive, Word

_SENDS_ON = {"reverse_proxy", "php_fastcgi", "forward_auth"}
_MOST_NESTED = 20
"""Imports that import themselves end somewhere; Caddy has refused them before."""


class Site(Struct, frozen=True, kw_only=True):
    """`body` is where its directives stand: the block, or the rest of a file that is one site without braces."""

    addresses: tuple[str, ...]
    directive: Directive
    body: tuple[Directive, ...]


class Place(Struct, frozen=True, kw_only=True):
    """One directive that sends requests on. `above` are the directives that hold it, imports among them, from the site
    inwards; `beside` all that stand at its own level."""

    site: Site
    directive: Directive
    above: tuple[Directive, ...]
    beside: tuple[Directive, ...]


def find_global_options(config: CaddyConfig) -> Sequence[Directive]:
    """What the block at the very beginning says, one that is imported too."""
    return next((each.block or () for each in _expand_top(config, config.main) if not each.words), ())


def find_sites(config: CaddyConfig) -> Iterator[Site]:
    top = [each for each in _expand_top(config, config.main) if each.words and not _is_snippet(each)]
    if top and all(each.block is None or each.file == config.main for each in top) and top[0].block is None:
        yield Site(addresses=_addresses(top[0].words), directive=top[0], body=tuple(top[1:]))
        return
    for each in top:
        if each.block is not None:
            yield Site(addresses=_addresses(each.words), directive=each, body=each.block)


def find_places(config: CaddyConfig) -> Iterator[Place]:
    for site in find_sites(config):
        yield from _walk(config, site, site.body, above=())


def _expand_top(config: CaddyConfig, path: Path) -> Iterator[Directive]:
    for each in config.directives[path]:
        if each.name == "import" and config.files_of(each):
            for imported in sorted(config.files_of(each)):
                yield from _expand_top(config, imported)
        else:
            yield each


def _is_snippet(directive: Directive) -> bool:
    return directive.name.startswith("(") and directive.name.endswith(")")


def _addresses(words: Sequence[Word]) -> tuple[str, ...]:
    return tuple(part for word in words for part in word.text.split(",") if part)


def _walk(
    config: CaddyConfig, site: Site, level: tuple[Directive, ...], *, above: tuple[Directive, ...]
) -> Iterator[Place]:
    if len(above) > _MOST_NESTED:
        return
    beside = tuple(_expand(config, level))
    for each in level:
        if each.name in _SENDS_ON:
            yield Place(site=site, directive=each, above=above, beside=beside)
        elif each.name == "import":
            for imported in _imported(config, each):
                yield from _walk(config, site, imported, above=(*above, each))
        elif each.block is not None and not each.name.startswith("@"):
            yield from _walk(config, site, each.block, above=(*above, each))


def _expand(config: CaddyConfig, level: Sequence[Directive], depth: int = 0) -> Iterator[Directive]:
    """As Caddy sees them: what is imported in the import's place."""
    for each in level:
        if each.name == "import" and depth < _MOST_NESTED:
            for imported in _imported(config, each):
                yield from _expand(config, imported, depth + 1)
        else:
            yield each


def _imported(config: CaddyConfig, directive: Directive) -> list[tuple[Directive, ...]]:
    snippet = config.snippets.get(directive.args[0]) if directive.args else None
    if snippet is not None:
        return [snippet.block or ()]
    return [config.directives[path] for path in sorted(config.files_of(directive))]
