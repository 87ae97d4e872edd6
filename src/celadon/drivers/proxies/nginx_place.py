"""One place of the owner's configuration that sends requests on: what it is, and what stands in the way of adopting it.

What a location's text means around our include, and why some is left alone:

- our choice of slot is made by `set` and `if`. A `break` before it would end the choosing, and of several `if` that are
  true the last one's lines win: so ours comes before any of the owner's.
- a URI in `proxy_pass` cannot stand beside a variable; a `rewrite … break` with the same effect can, unless the
  location has rewrites of its own.
- `$proxy_host` would name our upstream.
- a location inside it that sends requests on itself would inherit what we spell out.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.nginx_config import Config, Directive, flatten, unquote, walk
from celadon.drivers.proxies.nginx_inherit import HEADER, headers_in_force, own_lines
from celadon.drivers.proxies.nginx_site import (
    Listening,
    choose_host,
    choose_listening,
    choose_path,
    read_names,
    render_site,
)
from celadon.drivers.proxies.nginx_upstream import Passing, parse_passing
from celadon.drivers.proxies.sealed import is_ours
from celadon.model.address import Address

PASSES = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass")
REWRITES = ("rewrite", "break", "if", "set", "return")
_TWICE = ("open_file_cache", "disable_symlinks")
_BY_HAND = """\
in http {{ }}, once: include {directory}/*/http.conf;
in the location, instead of {line}: include {directory}/APP/route.conf;"""


class Place(Struct, frozen=True, kw_only=True):
    """`blocks` are those around it, innermost first, includes left out."""

    directive: Directive
    blocks: tuple[Directive, ...]
    passing: Passing
    reason: str

    @property
    def where(self) -> str:
        return f"{self.directive.file}:{self.directive.line}"

    @property
    def location(self) -> Directive:
        """The nearest; where there is none, whatever it stands in."""
        return next((block for block in self.blocks if block.name == "location"), self.blocks[0])

    @property
    def address(self) -> Address | None:
        return self.passing.address


def find_places(config: Config) -> Iterator[Place]:
    """In the order of the configuration; those of our own texts left out."""
    for directive, above in walk(config.directives):
        blocks = tuple(block for block in reversed(above) if block.name != "include")
        if directive.name in PASSES and blocks and not is_ours(config.texts[directive.file]):
            passing = parse_passing(directive, config)
            reason = _judge(directive, blocks, passing, config)
            yield Place(directive=directive, blocks=blocks, passing=passing, reason=reason)


def describe_place(place: Place, config: Config) -> FoundSite:
    server = next((block for block in place.blocks if block.name == "server"), place.blocks[-1])
    names, listening = read_names(server), choose_listening(server)
    host = choose_host(names)
    reason = place.reason or _judge_server(host, listening, names)
    by_hand = _BY_HAND.format(directory=config.directory / "celadon", line=_text(place.directive))
    return FoundSite(
        where=place.where,
        names=names,
        site=render_site(host, listening) if host and listening else "",
        listen=str(listening) if listening else "",
        path=choose_path(place.location),
        upstream=place.address,
        reason=reason,
        by_hand=by_hand if reason else "",
    )


def first_rewrite(place: Place) -> Directive | None:
    """The first line of the location's own level that rewrites, or includes what does."""
    for line in place.location.block or ():
        inside = flatten([line]) if line.name == "include" else iter([line])
        if any(found.name in REWRITES for found in inside):
            return line
    return None


def find_removed(blocks: Sequence[Directive]) -> list[Directive]:
    """Lines of the location that would undo ours: logs that are off, and a default that nginx refuses beside a
    variable."""
    undoing = {("access_log", ("off",)), ("proxy_redirect", ("default",))}
    return [line for line in own_lines(blocks) if (line.name, line.args) in undoing]


def _judge(directive: Directive, blocks: Sequence[Directive], passing: Passing, config: Config) -> str:
    """Empty: it can be adopted, as far as its own lines say."""
    if directive.name != "proxy_pass":
        return f"{_text(directive)} speaks another protocol than HTTP"
    if blocks[0].name != "location" or blocks[-1].name != "http":
        return f"proxy_pass stands in `{' '.join([blocks[0].name, *blocks[0].args])}`"
    return passing.reason or _judge_location(directive, blocks, passing, config)


def _judge_location(directive: Directive, blocks: Sequence[Directive], passing: Passing, config: Config) -> str:
    own = list(own_lines(blocks))
    twice = next((line for line in own if line.name in _TWICE), None)
    if twice:
        return f"the location sets {twice.name} itself ({_at(twice)})"
    nested = next((line for line, _ in walk(blocks[0].block or ()) if _sends_on_inside(line)), None)
    if nested:
        return f"`location {' '.join(nested.args)}` inside it sends requests on too ({_at(nested)})"
    for words in headers_in_force(blocks).values():
        if "$proxy_host" in words[-1] or "$proxy_port" in words[-1]:
            return f"{HEADER} {' '.join(words)} tells the app the name of its upstream"
    for line in find_removed(blocks):
        if line.file != blocks[0].file or _judge_line(line, line, config):
            return f"`{_text(line)}` ({_at(line)}) does not stand on a line of the location's own"
    rewriting = next((line for line in own if line.name in REWRITES), None)
    if rewriting and directive.file != blocks[0].file:
        return f"{_at(directive)} is included beside `{_text(rewriting)}` ({_at(rewriting)})"
    return _judge_uri(blocks[0], passing, rewriting) or _judge_line(directive, rewriting, config)


def _sends_on_inside(line: Directive) -> bool:
    return line.name == "location" and any(found.name in PASSES for found in flatten(line.block or ()))


def _judge_uri(location: Directive, passing: Passing, rewriting: Directive | None) -> str:
    if not passing.uri:
        return ""
    if rewriting:
        return f"proxy_pass {passing.url} has a path beside `{_text(rewriting)}` ({_at(rewriting)})"
    *modifier, prefix = map(unquote, location.args)
    if modifier not in ([], ["^~"]) or not prefix.startswith("/"):
        return f"proxy_pass {passing.url} has a path in `location {' '.join(location.args)}`"
    return ""


def _judge_line(directive: Directive, rewriting: Directive | None, config: Config) -> str:
    """Where only a comment takes its place, nothing may stand behind it."""
    if rewriting is None:
        return ""
    rest = config.texts[directive.file][directive.stop :].split("\n", 1)[0].strip()
    return f"{_at(directive)} is on one line with `{rest}`" if rest and not rest.startswith("#") else ""


def _judge_server(host: str | None, listening: Listening | None, names: Sequence[str]) -> str:
    if host is None:
        return f"server_name {' '.join(names)} names no host to look at"
    if listening is None:
        return "its server listens where no look can go: on a Unix socket, or behind proxy_protocol"
    return ""


def _text(directive: Directive) -> str:
    return " ".join([directive.name, *directive.args]) + ";"


def _at(directive: Directive) -> str:
    return f"{directive.file}:{directive.line}"


def same_place(place: Place, found: FoundSite) -> bool:
    return (place.where, place.address) == (found.where, found.upstream) and choose_path(place.location) == found.path
