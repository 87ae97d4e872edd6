"""What the site's owner says around our include: an inner level that has one `access_log` or `proxy_set_header` loses
all that it would inherit, so what it would is repeated in our text."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from celadon.drivers.proxies.nginx_config import (
    Config,
    Directive,
    flatten,
    include_pattern,
    matches,
    unquote,
    walk,
)

HEADER = "proxy_set_header"
Arguments = tuple[tuple[str, ...], ...]


def find_places(config: Config, route: Path) -> list[tuple[Directive, ...]]:
    """The blocks around each include of `route`, innermost first."""
    return [
        _blocks(above)
        for directive, above in walk(config.directives)
        if directive.name == "include" and matches(include_pattern(directive, directory=config.directory), route)
    ]


def find_kept_logs(config: Config, route: Path) -> Arguments:
    """Empty where none is written down, and where the places of `route` do not inherit the same."""
    kept = _find_common(config, route, "access_log")
    return tuple(words for words in kept if words[0] != "off")


def find_kept_headers(config: Config, route: Path) -> Arguments:
    return _find_common(config, route, HEADER)


def find_own(config: Config, route: Path) -> frozenset[str]:
    """The names of the directives, and in lower case of the headers, that a place of `route` sets itself."""
    found: set[str] = set()
    for blocks in find_places(config, route):
        for directive in own_lines(blocks, route):
            found.add(directive.name)
            if directive.name == HEADER and directive.args:
                found.add(unquote(directive.args[0]).lower())
    return frozenset(found)


def owner_decides(config: Config, route: Path) -> bool:
    """Whether at every place of `route` the owner's lines say which Host the app is told."""
    places = find_places(config, route)
    return bool(places) and all("host" in headers_in_force(blocks, route) for blocks in places)


def headers_in_force(blocks: Sequence[Directive], route: Path | None = None) -> dict[str, tuple[str, ...]]:
    """Lower-case name → arguments, of the nearest level that sets any."""
    return {unquote(words[0]).lower(): words for words in in_force(blocks, HEADER, route) if words}


def in_force(blocks: Sequence[Directive], name: str, route: Path | None = None) -> Arguments:
    """The arguments of the directives of that name, of the nearest level that has any."""
    for depth in range(len(blocks)):
        found = tuple(line.args for line in own_lines(blocks[depth:], route) if line.name == name and line.args)
        if found:
            return found
    return ()


def inherited(blocks: Sequence[Directive], name: str, route: Path | None = None) -> Arguments:
    """What is in force only because the innermost level says nothing."""
    if any(line.name == name for line in own_lines(blocks, route)):
        return ()
    return in_force(blocks[1:], name, route)


def own_lines(blocks: Sequence[Directive], route: Path | None = None) -> Iterator[Directive]:
    """The directives of the innermost level, those of included files among them, those of `route` left out."""
    return (line for line in flatten(blocks[0].block or ()) if route is None or line.file != route)


def _find_common(config: Config, route: Path, name: str) -> Arguments:
    found = {inherited(blocks, name, route) for blocks in find_places(config, route)}
    return found.pop() if len(found) == 1 else ()


def _blocks(above: Sequence[Directive]) -> tuple[Directive, ...]:
    return tuple(block for block in reversed(above) if block.name != "include")
