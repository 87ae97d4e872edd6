"""The way back from nginx_edit: the owner's lines as they were, or as they must be for another address. Pure."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.nginx_config import (
    Config,
    Directive,
    find_include,
    include_pattern,
    matches,
    parse_text,
    walk,
)
from celadon.drivers.proxies.nginx_edit import ADDED, AND, INSTEAD, Change, indent_of
from celadon.drivers.proxies.nginx_upstream import Passing, parse_passing, render_server
from celadon.model.address import Address

_COMMENT = re.compile(
    INSTEAD.replace("{count}", r"(?P<count>\d+)") + rf"(?P<first>[^\n]*)(?P<more>(?:\n[ \t]*{AND}[^\n]*)*)"
)


class _Block(Struct, frozen=True, kw_only=True):
    """A comment of ours with the lines that it speaks of."""

    file: Path
    begin: int
    end: int
    original: str
    lines: tuple[str, ...]


def plan_restoring(config: Config, *, directory: Path, address: Address, plain: Sequence[str]) -> list[Change]:
    """After these the places of the route send to `address` without it. `plain` are the lines for a place that was
    never adopted, whose owner wrote the include."""
    route = directory / "route.conf"
    blocks = list(_find_blocks(config, route))
    changes = {_restore(config, block, address=address) for block in blocks}
    changes |= {change for block in blocks for change in _repoint(config, block, address=address)}
    adopted = {block.file for block in blocks if block.original.startswith("proxy_pass")}
    for include, _ in _find_includes(config, route):
        if not any(block.file == include.file and block.begin <= include.begin < block.end for block in blocks):
            gone = include.file in adopted
            changes.add(take_out(config, include) if gone else _write_plain(config, include, plain))
    return sorted(changes, key=lambda change: (change.file, change.begin))


def plan_http_removal(config: Config, *, directory: Path) -> list[Change]:
    """The include in `http`, unless another app has files there."""
    found = find_include(config, directory / "http.conf")
    others = [path for path in directory.parent.glob("*/http.conf") if path.parent != directory]
    if found is None or (others and "*" in found[0].args[0]):
        return []
    return [take_out(config, found[0])]


def take_out(config: Config, line: Directive) -> Change:
    """With the line break and the white space that were put in with it, before or behind."""
    text = config.texts[line.file]
    indent = indent_of(text, line.begin)
    if text.startswith(f"\n{indent}", line.stop):
        return Change(file=line.file, begin=line.begin, end=line.stop + 1 + len(indent), text="")
    begin = line.begin - len(indent) - 1
    put_behind = text[begin : begin + 1] == "\n"
    return Change(file=line.file, begin=begin if put_behind else line.begin, end=line.stop, text="")


def _find_includes(config: Config, route: Path) -> Iterator[tuple[Directive, Directive | None]]:
    """Those of the route, once each, with the location around where that is in the same file."""
    seen: set[tuple[Path, int]] = set()
    for directive, above in walk(config.directives):
        pattern = include_pattern(directive, directory=config.directory) if directive.name == "include" else ""
        if pattern and matches(pattern, route) and (directive.file, directive.begin) not in seen:
            seen.add((directive.file, directive.begin))
            around = above[-1] if above and above[-1].file == directive.file else None
            yield directive, around


def _find_blocks(config: Config, route: Path) -> Iterator[_Block]:
    """Every comment of ours around an include of the route, those of other routes left out."""
    seen: set[tuple[Path, int]] = set()
    for include, around in _find_includes(config, route):
        text = config.texts[include.file]
        begin, end = (around.begin, around.stop) if around else (0, len(text))
        for block in _read_blocks(text, include.file, begin, end):
            foreign = any(line.startswith("include ") and line != f"include {route};" for line in block.lines)
            if not foreign and (block.file, block.begin) not in seen:
                seen.add((block.file, block.begin))
                yield block


def _read_blocks(text: str, file: Path, begin: int, end: int) -> Iterator[_Block]:
    level = sorted((found for found, _ in walk(parse_text(text, file=file))), key=lambda found: found.begin)
    for comment in _COMMENT.finditer(text, begin, end):
        following = [found for found in level if found.begin >= comment.end()][: int(comment["count"])]
        if any(found.name not in ADDED for found in following):
            continue
        more = re.split(rf"\n[ \t]*{AND}", comment["more"])[1:]
        yield _Block(
            file=file,
            begin=comment.start(),
            end=following[-1].stop if following else comment.end(),
            original="\n".join([comment["first"], *more]),
            lines=tuple(text[found.begin : found.stop] for found in following),
        )


def _restore(config: Config, block: _Block, *, address: Address) -> Change:
    indent = indent_of(config.texts[block.file], block.begin)
    lines = _render_restored(config, block, address=address)
    return Change(file=block.file, begin=block.begin, end=block.end, text=f"\n{indent}".join(lines))


def _render_restored(config: Config, block: _Block, *, address: Address) -> list[str]:
    """The original; at another address, what its words had implied stays as it was."""
    passing = _passing_of(config, block)
    if passing is None or passing.block is not None or passing.address == address:
        return [block.original]
    kept = [line for line in block.lines if not line.startswith(("include ", "rewrite "))]
    return [f"proxy_pass {_render_url(passing, address)};", *kept]


def _passing_of(config: Config, block: _Block) -> Passing | None:
    directives = [found for found in parse_text(block.original, file=block.file) if found.name == "proxy_pass"]
    return parse_passing(directives[0], config) if directives else None


def _repoint(config: Config, block: _Block, *, address: Address) -> list[Change]:
    """The owner's `upstream` that an adopted place had named, when the app is at another address now."""
    passing = _passing_of(config, block)
    if passing is None or passing.server is None or passing.address == address:
        return []
    server = passing.server
    end = server.start + len(server.args[0])
    return [Change(file=server.file, begin=server.start, end=end, text=render_server(address))]


def _render_url(passing: Passing, address: Address) -> str:
    server = render_server(address)
    return f"http://{server}{':' if server.startswith('unix:') and passing.uri else ''}{passing.uri}"


def _write_plain(config: Config, include: Directive, plain: Sequence[str]) -> Change:
    indent = indent_of(config.texts[include.file], include.begin)
    return Change(file=include.file, begin=include.begin, end=include.stop, text=f"\n{indent}".join(plain))
