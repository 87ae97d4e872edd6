"""The edits by which places of the owner's are served by the route, and the way back. Pure.

What is taken out stays in a comment that says what stands for it: an ejection needs nothing but the file.

    # celadon: 2 lines instead of: proxy_pass http://127.0.0.1:8000;
    include /etc/nginx/celadon/shop/route.conf;
    proxy_set_header Host 127.0.0.1:8000;

The lines beside the include say what `proxy_pass` had implied, since its words name our upstream now: the Host that the
app is told, the redirects that are rewritten, the prefix that is taken off.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.nginx_config import Config, Directive, find_include, flatten, unquote
from celadon.drivers.proxies.nginx_inherit import HEADER, headers_in_force, in_force, inherited
from celadon.drivers.proxies.nginx_place import Place, find_removed, first_rewrite
from celadon.model.address import SocketAddress

INSTEAD = "# celadon: {count} lines instead of: "
AND = "# celadon: and: "
ADDED = ("include", HEADER, "proxy_redirect", "rewrite", "access_log")
_HASHES = ("map_hash_bucket_size", "map_hash_max_size", "variables_hash_bucket_size", "variables_hash_max_size")


class Change(Struct, frozen=True, kw_only=True):
    """The characters from `begin` to `end` become `text`."""

    file: Path
    begin: int
    end: int
    text: str


def plan_changes(config: Config, places: Sequence[Place], *, directory: Path) -> list[Change]:
    """`directory` is the app's. Each change once, though several places share a snippet."""
    route = directory / "route.conf"
    lines = _plan_lines(places)
    changes = {change for place in places for change in _change_place(config, place, route, added=lines[place.where])}
    if find_include(config, directory / "http.conf") is None:
        changes.add(_include_http(config, places, pattern=f"{directory.parent}/*/http.conf"))
    return sorted(changes, key=lambda change: (change.file, change.begin, change.end))


def apply_changes(text: str, changes: Sequence[Change]) -> str:
    """Last first, so that offsets hold."""
    for change in sorted(changes, key=lambda change: (change.begin, change.end), reverse=True):
        text = text[: change.begin] + change.text + text[change.end :]
    return text


def indent_of(text: str, at: int) -> str:
    """The white space before `at` on its line; none where something else is there."""
    before = text[text.rfind("\n", 0, at) + 1 : at]
    return before if not before.strip() else ""


def _plan_lines(places: Sequence[Place]) -> dict[str, tuple[str, ...]]:
    """By `where`. What all places inherit alike, our own text repeats; otherwise each says it."""
    spoken = {place.where: _spell_headers(place) for place in places}
    for name in (HEADER, "access_log"):
        left = {place.where: _still_inherited(place, name, spoken[place.where]) for place in places}
        if len(set(left.values())) > 1:
            for where, words in left.items():
                spoken[where] = (*spoken[where], *(f"{name} {' '.join(each)};" for each in words))
    return {place.where: (*spoken[place.where], *_spell_rest(place)) for place in places}


def _still_inherited(place: Place, name: str, spoken: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    if any(line.startswith(f"{name} ") for line in spoken):
        return ()
    return tuple(words for words in inherited(place.blocks, name) if words[0] != "off")


def _spell_headers(place: Place) -> tuple[str, ...]:
    """A Host line for a place without one, and then what that line would keep it from inheriting."""
    if "host" in headers_in_force(place.blocks):
        return ()
    kept = (f"{HEADER} {' '.join(words)};" for words in inherited(place.blocks, HEADER))
    return (*kept, f"{HEADER} Host {place.passing.host};")


def _spell_rest(place: Place) -> tuple[str, ...]:
    passing = place.passing
    prefix = unquote(place.location.args[-1]) if place.location.args else "/"
    lines: list[str] = []
    redirects = in_force(place.blocks, "proxy_redirect")
    if redirects in ((), (("default",),)) and not isinstance(_named(place), SocketAddress):
        words = (passing.url, prefix) if passing.uri else (f"{passing.url}/", "/")
        lines.append(f"proxy_redirect {quote(words[0])} {quote(words[1])};")
    if passing.uri:
        lines.append(f'rewrite "(?s)^{_escape(prefix)}(.*)$" {quote(passing.uri + "$1")} break;')
    return tuple(lines)


def _named(place: Place) -> SocketAddress | None:
    """A socket that the URL itself names: redirects to one are not rewritten."""
    address = place.address
    return address if place.passing.block is None and isinstance(address, SocketAddress) else None


def _escape(prefix: str) -> str:
    special = frozenset("\\.+*?()[]{}|^$")
    return "".join(f"\\\\{char}" if char == "\\" else f"\\{char}" if char in special else char for char in prefix)


def quote(word: str) -> str:
    return f'"{word}"' if any(char in word for char in " ;{}\"'") else word


def _change_place(config: Config, place: Place, route: Path, *, added: Sequence[str]) -> list[Change]:
    include = f"include {route};"
    rewriting = first_rewrite(place)
    changes = [_replace(config, place.directive, [*([] if rewriting else [include]), *added])]
    changes += [_replace(config, line, []) for line in find_removed(place.blocks)]
    if rewriting:
        changes.append(insert_before(config, rewriting, include))
    return changes


def _replace(config: Config, directive: Directive, lines: Sequence[str]) -> Change:
    text = config.texts[directive.file]
    first, *more = text[directive.begin : directive.stop].split("\n")
    comment = [INSTEAD.format(count=len(lines)) + first, *(AND + line for line in more)]
    whole = f"\n{indent_of(text, directive.begin)}".join([*comment, *lines])
    return Change(file=directive.file, begin=directive.begin, end=directive.stop, text=whole)


def insert_before(config: Config, directive: Directive, line: str) -> Change:
    indent = indent_of(config.texts[directive.file], directive.begin)
    return Change(file=directive.file, begin=directive.begin, end=directive.begin, text=f"{line}\n{indent}")


def _include_http(config: Config, places: Sequence[Place], *, pattern: str) -> Change:
    """Before the first server that needs it, since a log format must be known there; but behind sizes of hashes, which
    nginx takes as said twice after a `map`."""
    http = places[0].blocks[-1]
    level = list(http.block or ())
    firsts = [line for line in level if _holds(line, lambda found: any(found in place.blocks for place in places))]
    found = firsts[0]
    sizes = [line for line in flatten(level) if line.name in _HASHES]
    behind = [line for line in sizes if _comes_after(level, line, found)]
    if not behind:
        return insert_before(config, found, f"include {pattern};")
    last = behind[-1]
    indent = indent_of(config.texts[last.file], last.begin)
    return Change(file=last.file, begin=last.stop, end=last.stop, text=f"\n{indent}include {pattern};")


def _comes_after(level: Sequence[Directive], line: Directive, found: Directive) -> bool:
    order = {id(inner): index for index, top in enumerate(level) for inner in (top, *flatten([top]))}
    return order[id(line)] >= order[id(found)]


def _holds(line: Directive, wanted: Callable[[Directive], bool]) -> bool:
    return wanted(line) or (line.name == "include" and any(_holds(inner, wanted) for inner in line.block or ()))


def group_changes(changes: Sequence[Change]) -> Mapping[Path, list[Change]]:
    grouped: dict[Path, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.file, []).append(change)
    return grouped
