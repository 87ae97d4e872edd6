"""Our objects in the owner's JSON: where they stand, put there, taken out. Pure.

Celadon's handler stands where its `@id` does. Beside it the configuration gets the app's log, keeps it out of the
default log as the Caddyfile's adapter does, and where the server has no access log yet, one for the app's hosts only.
A server with logs of its own keeps them as they are: there the handler names the owner's loggers and ours.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from msgspec import Struct

from celadon.drivers.proxies.caddy_json_route import (
    JsonRoute,
    is_edited,
    is_route_id,
    log_name,
    logger_of,
    read_route,
    render_handler,
)
from celadon.drivers.proxies.caddy_json_text import (
    Node,
    Path,
    index_of,
    insert_first,
    parse_json,
    remove_member,
    replace_value,
    value_of,
    walk,
)
from celadon.model.names import AppName, Slot

SERVERS: Path = ("apps", "http", "servers")
_LOGS: Path = ("logging", "logs")
_DEFAULT: Path = (*_LOGS, "default")


class Marked(Struct, frozen=True, kw_only=True):
    """One handler of ours. `hosts`: whom its route is for; none where it takes all."""

    id: str
    path: Path
    hosts: tuple[str, ...]

    @property
    def logs(self) -> Path:
        """Where its server says what is logged."""
        return (*self.path[:4], "logs")


def find_marked(text: str, app: AppName) -> list[Marked]:
    """Raises JsonError."""
    root = parse_json(text)
    return [
        Marked(id=str(value_of(text, node.get("@id"))), path=path, hosts=find_hosts(text, root, path))
        for path, node in walk(root)
        if path[:3] == SERVERS and is_handler(path) and is_route_id(value_of(text, node.get("@id")), app)
    ]


def is_handler(path: Path) -> bool:
    return len(path) > 1 and path[-2] == "handle" and isinstance(path[-1], int)


def find_hosts(text: str, root: Node, path: Path) -> tuple[str, ...]:
    """The innermost that a route above `path` names."""
    for length in range(len(path), 0, -1):
        matchers = value_of(text, root.get(*path[:length], "match"))
        hosts = [host for each in matchers for host in each.get("host", ())] if isinstance(matchers, list) else []
        if hosts:
            return tuple(dict.fromkeys(hosts))
    return ()


def place(text: str, route: JsonRoute, *, app: AppName) -> str:
    """With the handler at each of its places, and the log. Again on its own result it changes nothing."""
    marked = find_marked(text, app)
    if not marked:
        return text
    for each in marked:
        text = _ensure_logged(text, each, app=app)
    for each in marked:
        loggers = _name_loggers(value_of(text, parse_json(text).get(*each.logs)), each.hosts, app=app)
        handler = render_handler(route, name=each.id, loggers=loggers)
        text = _set(text, each.path, handler)
    text = _set(text, (*_LOGS, log_name(app)), route.log)
    return _exclude(text, app)


def find_log_reasons(text: str, app: AppName, *, recent: bool) -> Iterator[str]:
    """Why the app's requests could not be told from its log."""
    for each in find_marked(text, app):
        logs = value_of(text, parse_json(text).get(*each.logs))
        server = each.logs[3]
        if not isinstance(logs, dict):
            continue
        loggers = {tuple(_owners(logs, host)) if _is_logged(logs, host) else (log_name(app),) for host in each.hosts}
        if len(loggers) > 1:
            yield f"{', '.join(each.hosts)} have different access logs in server {server}"
        elif not each.hosts and logs.get("skip_unmapped_hosts"):
            yield f"server {server} logs named hosts only, and the route names none"
        elif not recent and _name_loggers(logs, each.hosts, app=app):
            yield f"server {server} has an access log of its own, and Caddy before 2.8 keeps one a request"


def find_json_edits(text: str, app: AppName) -> list[str]:
    """The `@id`s of objects that are not as we wrote them."""
    root = parse_json(text)
    log = value_of(text, root.get(*_LOGS, log_name(app)))
    return [each.id for each in find_marked(text, app) if is_edited(value_of(text, root.get(*each.path)), log)]


def take_out(text: str, originals: Mapping[str, str], *, plain: str, app: AppName, had: Sequence[Path]) -> str:
    """With the owner's words again, `plain` where they are not known. What is empty afterwards goes with it, unless it
    was there before (`had`)."""
    marked = find_marked(text, app)
    for each in reversed(marked):
        node = parse_json(text).get(*each.path)
        if node is not None:
            text = text[: node.start] + originals.get(each.id, plain) + text[node.end :]
    text = _remove(text, (*_LOGS, log_name(app)))
    excluded = value_of(text, parse_json(text).get(*_DEFAULT, "exclude"))
    if isinstance(excluded, list) and logger_of(app) in excluded:
        text = _remove(text, (*_DEFAULT, "exclude", excluded.index(logger_of(app))))
    for logs in dict.fromkeys(each.logs for each in marked):
        text = _forget_logger(text, logs, app=app)
    for path in [(*_DEFAULT, "exclude"), _DEFAULT, _LOGS, _LOGS[:1], *_logs_paths(marked)]:
        if path not in had and value_of(text, parse_json(text).get(*path)) in ({}, [], {"skip_unmapped_hosts": True}):
            text = _remove(text, path)
    return text


def find_had(text: str, marked: Sequence[Marked]) -> list[Path]:
    """Which of the objects that we add to for `marked` are in `text`."""
    root = parse_json(text)
    places = [(*_DEFAULT, "exclude"), _DEFAULT, _LOGS, _LOGS[:1], *_logs_paths(marked)]
    return [path for path in places if root.get(*path) is not None]


def _logs_paths(marked: Sequence[Marked]) -> list[Path]:
    return [path for each in marked for path in ((*each.logs, "logger_names"), each.logs)]


def _forget_logger(text: str, logs: Path, *, app: AppName) -> str:
    said = value_of(text, parse_json(text).get(*logs))
    if not isinstance(said, dict):
        return text
    if said.get("default_logger_name") == log_name(app):
        text = _remove(text, (*logs, "default_logger_name"))
    for host, name in said.get("logger_names", {}).items():
        if name == log_name(app):
            text = _remove(text, (*logs, "logger_names", host))
    return text


def _ensure_logged(text: str, marked: Marked, *, app: AppName) -> str:
    """Hosts that Caddy logs nothing of are logged to us alone."""
    logs = value_of(text, parse_json(text).get(*marked.logs))
    if logs is None and not marked.hosts:
        return _set(text, marked.logs, {"default_logger_name": log_name(app)})
    if logs is None:
        names = dict.fromkeys(marked.hosts, log_name(app))
        return _set(text, marked.logs, {"logger_names": names, "skip_unmapped_hosts": True})
    for host in marked.hosts:
        if isinstance(logs, dict) and not _is_logged(logs, host):
            text = _set(text, (*marked.logs, "logger_names", host), log_name(app))
    return text


def _is_logged(logs: Mapping[str, object], host: str) -> bool:
    if _find_mapped(logs, host) is not None:
        return True
    skipped = logs.get("skip_hosts") or []
    return not logs.get("skip_unmapped_hosts") and not (isinstance(skipped, list) and host in skipped)


def _find_mapped(logs: Mapping[str, object], host: str) -> object:
    """By name, then by a wildcard for one of its labels and all before it, as Caddy looks."""
    names = logs.get("logger_names") or {}
    labels = host.split(".")
    keys = [host, *(".".join(["*"] * (index + 1) + labels[index + 1 :]) for index in range(len(labels)))]
    return next((names[key] for key in keys if key in names), None) if isinstance(names, dict) else None


def _owners(logs: Mapping[str, object], host: str) -> list[str]:
    found = _find_mapped(logs, host)
    if found is None:
        found = logs.get("default_logger_name") or ""
    return [str(each) for each in found] if isinstance(found, list) else [str(found)]


def _name_loggers(logs: object, hosts: Sequence[str], *, app: AppName) -> list[str]:
    """For the handler to say; none where the server's own words lead to us alone."""
    if not isinstance(logs, dict):
        return []
    owners = _owners(logs, next(iter(hosts), ""))
    return [] if owners == [log_name(app)] else [*owners, log_name(app)]


def _exclude(text: str, app: AppName) -> str:
    default = value_of(text, parse_json(text).get(*_DEFAULT))
    said = default if isinstance(default, dict) else {}
    excluded = said.get("exclude")
    if said.get("include") or (isinstance(excluded, list) and logger_of(app) in excluded):
        return text
    node = parse_json(text).get(*_DEFAULT, "exclude")
    if node is not None and node.opener == "[":
        return insert_first(text, node, logger_of(app))
    return _set(text, (*_DEFAULT, "exclude"), [logger_of(app)])


def _set(text: str, path: Path, value: object) -> str:
    """What is missing above it is made."""
    root = parse_json(text)
    found = root.get(*path)
    if found is not None and json.dumps(value_of(text, found)) == json.dumps(value):
        return text
    if found is not None:
        return replace_value(text, found, value)
    depth = next(length for length in count(1) if root.get(*path[:length]) is None)
    parent = root.get(*path[: depth - 1])
    for key in reversed(path[depth:]):
        value = {key: value}
    return insert_first(text, parent, value, key=str(path[depth - 1])) if parent is not None else text


def _remove(text: str, path: Path) -> str:
    parent = parse_json(text).get(*path[:-1])
    index = path[-1] if isinstance(path[-1], int) else index_of(parent, path[-1]) if parent is not None else None
    return text if parent is None or index is None else remove_member(text, parent, index)


def carry(source: str, text: str, *, app: AppName) -> str:
    """`text` with the route that `source` has. Raises JsonError."""
    root = parse_json(source)
    log = value_of(source, root.get(*_LOGS, log_name(app)))
    handlers = [value_of(source, root.get(*each.path)) for each in find_marked(source, app)]
    route = next((found for each in handlers if (found := read_route(each, log)) is not None), None)
    if route is not None:
        return place(text, route, app=app)
    for each, handler in zip(find_marked(text, app), handlers, strict=False):
        text = _set(text, each.path, handler)
    return text


def parse_slot(text: str, slots: Mapping[str, Slot], *, app: AppName) -> Slot | None:
    """By the upstream of our last handler. `slots`: by what is dialled. Raises JsonError."""
    root = parse_json(text)
    for each in find_marked(text, app):
        proxy = _last(_last(root.get(*each.path, "routes")).get("handle"))
        return slots.get(str(value_of(text, proxy.get("upstreams", 0, "dial"))))
    return None


def _last(node: Node | None) -> Node:
    """Of an array; a node of nothing where there is none."""
    return node.members[-1].node if node is not None and node.members else Node(start=0, end=0)
