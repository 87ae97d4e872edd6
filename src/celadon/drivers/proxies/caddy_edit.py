"""The edit of a Caddyfile by which our route stands where a `reverse_proxy` stood, and the way back. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.caddy_sites import find_upstream, split_matcher
from celadon.drivers.proxies.caddy_text import render_dial
from celadon.drivers.proxies.caddy_walk import Place
from celadon.model.address import Address

_HOLDS = ("handle", "handle_path", "route")


class Replaced(Struct, frozen=True, kw_only=True):
    """What stands in `file` from offset `start` on instead of `original`. In `original` the upstream is the text from
    `upstream_start` to `upstream_end`; both are 0 where there is none. `upstream`: the address that it means."""

    file: str
    start: int
    inserted: str
    original: str
    upstream_start: int = 0
    upstream_end: int = 0
    upstream: Address | None = None


def plan_replacements(
    places: Sequence[Place], texts: Mapping[Path, str], *, snippet: Path, log: Path, route: Path
) -> list[Replaced]:
    """By file and offset. A site's own level takes the whole snippet; elsewhere Caddy takes no log."""
    found: dict[tuple[Path, int, int], Replaced] = {}
    for place in places:
        together = [each for each in places if each.site == place.site]
        apart = any(map(_is_apart, together))
        first = place.site.body[0]
        if apart:
            line = f"import {log}\n{_indentation(texts[first.file], first.start)}"
            found[first.file, first.start, 0] = Replaced(
                file=str(first.file), start=first.start, inserted=line, original=""
            )
        directive = place.directive
        found[directive.file, directive.start, 1] = _replace(place, texts, name=route if apart else snippet)
    return [found[key] for key in sorted(found)]


def _is_apart(place: Place) -> bool:
    return bool(split_matcher(place.directive)[0]) or any(each.name in _HOLDS for each in place.above)


def _replace(place: Place, texts: Mapping[Path, str], *, name: Path) -> Replaced:
    directive = place.directive
    text = texts[directive.file]
    matcher = split_matcher(directive)[0]
    inserted = f"import {name}"
    if matcher:
        margin = _indentation(text, directive.start)
        inserted = f"route {matcher} {{\n{margin}\t{inserted}\n{margin}}}"
    words = [
        *directive.words,
        *(word for each in directive.block or () if each.name == "to" for word in each.words[1:]),
    ]
    upstream = words[2 if matcher else 1]
    return Replaced(
        file=str(directive.file),
        start=directive.start,
        inserted=inserted,
        original=text[directive.start : directive.end],
        upstream_start=upstream.start - directive.start,
        upstream_end=upstream.end - directive.start,
        upstream=find_upstream(directive),
    )


def _indentation(text: str, start: int) -> str:
    line = text[text.rfind("\n", 0, start) + 1 : start]
    return line if not line.strip() else ""


def apply_replacements(text: str, replacements: Iterable[Replaced]) -> str:
    """Of one file; last first, so that offsets hold."""
    for each in reversed([*replacements]):
        text = text[: each.start] + each.inserted + text[each.start + len(each.original) :]
    return text


def render_options(place: Place, text: str) -> str:
    """The subdirectives that the owner has set, a line each, for all of our own upstreams."""
    kept = [each for each in place.directive.block or () if each.name != "to"]
    return "".join(f"{text[each.start : each.end]}\n" for each in kept)


def take_back(text: str, replacements: Sequence[Replaced], *, live: Address) -> str | None:
    """`text` with the owner's own words again, sending to `live`. None where ours do not stand in it any more."""
    position = 0
    for each in replacements:
        found = text.find(each.inserted, position)
        if found < 0:
            return None
        original = _send_to(each, live)
        text = text[:found] + original + text[found + len(each.inserted) :]
        position = found + len(original)
    return text


def _send_to(replaced: Replaced, live: Address) -> str:
    if replaced.upstream in {None, live}:
        return replaced.original
    return replaced.original[: replaced.upstream_start] + render_dial(live) + replaced.original[replaced.upstream_end :]
