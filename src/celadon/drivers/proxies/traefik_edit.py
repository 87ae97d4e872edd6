"""A router's service and middlewares, and a service's address, changed in the user's own text: comments, order and
quotes stay byte for byte. Pure.

Every edit is read back: unless the new text says exactly what the old one said but for what was meant to change, it
is no edit (anchors, merges, inline tables that this does not understand). The caller then leaves the place to its
owner.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from celadon.drivers.proxies.traefik_dynamic import parse_document


class Change(Struct, frozen=True, kw_only=True):
    """`service` is the router's new one; `added` joins the end of its middlewares, `removed` leaves them."""

    router: str
    service: str
    added: str = ""
    removed: str = ""


class _Span(Struct, frozen=True):
    start: int
    end: int
    text: str


def edit_routers(text: str, path: Path, changes: Sequence[Change]) -> str | None:
    """None when it cannot be done safely."""
    wanted = _unshare(parse_document(text, path))
    try:
        for change in changes:
            _apply(wanted["http"]["routers"][change.router], change)
        find = _find_in_toml if path.suffix.lower() == ".toml" else _find_in_yaml
        spans = [span for change in changes for span in find(text, change)]
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        return None
    return _checked(text, path, spans, wanted=wanted)


def edit_address(text: str, path: Path, service: str, *, old: str, new: str) -> str | None:
    """The URL of a service's one server. None when it cannot be done safely."""
    wanted = _unshare(parse_document(text, path))
    try:
        wanted["http"]["services"][service]["loadBalancer"]["servers"][0]["url"] = new
    except (KeyError, TypeError, IndexError):
        return None
    places = [found.start() for found in re.finditer(re.escape(old), text)]
    tries = (_checked(text, path, [_Span(place, place + len(old), new)], wanted=wanted) for place in places)
    return next((edited for edited in tries if edited is not None), None)


def find_line(text: str, path: Path, router: str, *, protocol: str = "http") -> int:
    """Where a router begins, from 1; 1 where that cannot be told."""
    try:
        if path.suffix.lower() == ".toml":
            return text.count("\n", 0, _toml_table(text, router, protocol=protocol).start()) + 1
        return int(_yaml_pair(_yaml_router_parent(text, protocol), router)[0].start_mark.line) + 1
    except (KeyError, ValueError, TypeError, AttributeError):
        return 1


def _unshare(found: Any) -> Any:
    """What an alias names is one object in YAML's answer; changed in one place, it would be changed in all of them."""
    if isinstance(found, dict):
        return {name: _unshare(value) for name, value in found.items()}
    return [_unshare(value) for value in found] if isinstance(found, list) else found


def _apply(router: dict[str, Any], change: Change) -> None:
    router["service"] = change.service
    chain = [name for name in router.get("middlewares") or [] if not change.removed or name != change.removed]
    chain += [change.added] if change.added and change.added not in chain else []
    if chain:
        router["middlewares"] = chain
    else:
        router.pop("middlewares", None)


def _checked(text: str, path: Path, spans: Sequence[_Span], *, wanted: dict[str, Any]) -> str | None:
    edited = text
    for span in sorted(spans, key=lambda each: each.start, reverse=True):
        edited = edited[: span.start] + span.text + edited[span.end :]
    try:
        found = parse_document(edited, path)
    except ValueError:
        return None
    return edited if found == wanted and "\r" not in edited.replace("\r\n", "") else None


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _quoted_as(old: str, new: str) -> str:
    """In the quotes that the old word has."""
    return f"{old[0]}{new}{old[0]}" if old[:1] in {'"', "'"} else new


# YAML


def _yaml_pair(node: Any, name: str) -> tuple[Any, Any]:
    return next((key, value) for key, value in node.value if key.value == name)


def _yaml_router_parent(text: str, protocol: str = "http") -> Any:
    import yaml

    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for name in (protocol, "routers"):
        try:
            node = _yaml_pair(node, name)[1]
        except StopIteration:
            raise KeyError(name) from None
    return node


def _find_in_yaml(text: str, change: Change) -> Iterator[_Span]:
    try:
        router = _yaml_pair(_yaml_router_parent(text), change.router)[1]
        key, service = _yaml_pair(router, "service")
    except StopIteration:
        raise KeyError(change.router) from None
    start, end = service.start_mark.index, service.end_mark.index
    yield _Span(start, end, _quoted_as(text[start:end], change.service))
    pair = next(((name, value) for name, value in router.value if name.value == "middlewares"), None)
    if pair is None:
        if change.added:
            yield _insert_yaml_key(text, router, key, change.added)
        return
    chain = pair[1]
    names = [item.value for item in chain.value]
    drops = bool(change.removed) and change.removed in names
    if drops and len(names) == 1:
        yield _drop_yaml_key(text, router, pair[0], chain)
    elif drops:
        yield _drop_item(text, chain, names.index(change.removed))
    if change.added and change.added not in names:
        yield _append_item(text, chain, change.added)


def _insert_yaml_key(text: str, router: Any, service_key: Any, added: str) -> _Span:
    start = service_key.start_mark.index
    if router.flow_style:
        return _Span(start, start, f"middlewares: [{added}], ")
    return _Span(start, start, f"middlewares: [{added}]{_newline(text)}{' ' * service_key.start_mark.column}")


def _drop_yaml_key(text: str, router: Any, key: Any, chain: Any) -> _Span:
    start, end = key.start_mark.index, chain.end_mark.index
    if router.flow_style:
        return _Span(start, _skip(text, end, ", "), "")
    if not chain.flow_style:
        return _Span(_line_start(text, start), _line_end(text, chain.value[-1].end_mark.index), "")
    return _Span(_line_start(text, start), _line_end(text, end), "")


def _append_item(text: str, chain: Any, added: str) -> _Span:
    if not chain.flow_style:
        last = chain.value[-1]
        indent = text[_line_start(text, last.start_mark.index) : last.start_mark.index]
        end = _line_end(text, last.end_mark.index)
        line = f"{indent}{added}"
        return _Span(end, end, f"{line}{_newline(text)}" if text[:end].endswith("\n") else f"{_newline(text)}{line}")
    if not chain.value:
        return _Span(chain.end_mark.index - 1, chain.end_mark.index - 1, added)
    end = chain.value[-1].end_mark.index
    return _Span(end, end, f", {added}")


def _drop_item(text: str, chain: Any, index: int) -> _Span:
    item = chain.value[index]
    if not chain.flow_style:
        return _Span(_line_start(text, item.start_mark.index), _line_end(text, item.end_mark.index), "")
    if index:
        return _Span(chain.value[index - 1].end_mark.index, item.end_mark.index, "")
    return _Span(item.start_mark.index, chain.value[1].start_mark.index, "")


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def _skip(text: str, index: int, characters: str) -> int:
    while index < len(text) and text[index] in characters:
        index += 1
    return index


# TOML


def _toml_table(text: str, router: str, *, protocol: str = "http") -> re.Match[str]:
    name = rf"(?:{re.escape(router)}|\"{re.escape(router)}\"|'{re.escape(router)}')"
    found = re.search(rf"^[ \t]*\[{protocol}\.routers\.{name}\][^\n]*\n(?:(?![ \t]*\[)[^\n]*\n?)*", text, re.MULTILINE)
    if found is None:
        raise KeyError(router)
    return found


def _find_in_toml(text: str, change: Change) -> Iterator[_Span]:
    table = _toml_table(text, change.router)
    service = _toml_value(table, "service", r"(\"[^\"\n]*\"|'[^'\n]*')")
    if service is None:
        raise KeyError("service")
    start, end = table.start() + service.start(2), table.start() + service.end(2)
    yield _Span(start, end, _quoted_as(text[start:end], change.service))
    chain = _toml_value(table, "middlewares", r"(\[[^\]\n]*\])")
    line_start = table.start() + service.start()
    if chain is None:
        if change.added:
            yield _Span(line_start, line_start, f'{service[1]}middlewares = ["{change.added}"]{_newline(text)}')
        return
    start, end = table.start() + chain.start(2), table.start() + chain.end(2)
    yield _toml_chain(text, chain, change, start=start, end=end, line_start=table.start() + chain.start())


def _toml_chain(text: str, chain: re.Match[str], change: Change, *, start: int, end: int, line_start: int) -> _Span:
    names: list[str] = tomllib.loads(f"names = {chain[2]}")["names"]
    if change.removed and change.removed in names:
        if len(names) == 1:
            return _Span(line_start, _line_end(text, end), "")
        shorter = re.sub(
            rf",\s*([\"']){re.escape(change.removed)}\1|([\"']){re.escape(change.removed)}\2\s*,\s*", "", chain[2]
        )
        return _Span(start, end, shorter)
    if not change.added or change.added in names:
        return _Span(start, start, "")
    inside = chain[2][1:-1].rstrip()
    return _Span(start + 1 + len(inside), start + 1 + len(inside), f'{", " if names else ""}"{change.added}"')


def _toml_value(table: re.Match[str], key: str, value: str) -> re.Match[str] | None:
    return re.search(rf"^([ \t]*){key}[ \t]*=[ \t]*{value}", table[0], re.MULTILINE)
