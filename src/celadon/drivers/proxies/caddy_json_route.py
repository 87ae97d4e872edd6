"""The route as objects of Caddy's JSON, made by Caddy itself from the Caddyfile text that other installs import.

So both forms have one source. The handler carries in an `@id`, which Caddy takes off before it reads anything, the
digests by which an edit by hand is found.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec import Struct

from celadon.drivers.proxies.caddy_command import adapt, last_words
from celadon.drivers.proxies.sealed import digest
from celadon.model.errors import StepError
from celadon.model.names import AppName

_SITE = "{{\n\tadmin off\n\tauto_https off\n}}\nhttp://:8080 {{\n{body}}}\n"
_DIGEST_LENGTH = 16


class JsonRoute(Struct, frozen=True, kw_only=True):
    """`routes`: what stands in our `subroute`. `log`: the value of `logging.logs.<name>`."""

    routes: list[dict[str, object]]
    log: dict[str, object]


class _Server(Struct, frozen=True):
    routes: list[dict[str, object]]


class _Http(Struct, frozen=True):
    servers: dict[str, _Server]


class _Apps(Struct, frozen=True):
    http: _Http


class _Logging(Struct, frozen=True):
    logs: dict[str, dict[str, object]]


class _Adapted(Struct, frozen=True):
    apps: _Apps
    logging: _Logging


def log_name(app: AppName) -> str:
    return f"celadon-{app}"


def logger_of(app: AppName) -> str:
    """As Caddy names what it writes there."""
    return f"http.log.access.{log_name(app)}"


def route_id(app: AppName, index: int = 0) -> str:
    """Of the app's first place, second …: two objects may not have one `@id`. No app's name has an underscore."""
    return f"celadon_{app}" + (f"_{index + 1}" if index else "")


def render_marker(app: AppName) -> str:
    """What a person puts where the route is to stand."""
    return f'{{"@id": "{route_id(app)}", "handler": "subroute"}}'


def is_route_id(value: object, app: AppName) -> bool:
    return isinstance(value, str) and re.fullmatch(rf"celadon_{re.escape(app)}(_\d+)?", value) is not None


def adapt_route(binary: str, bodies: Sequence[str], *, app: AppName, options: Mapping[str, object]) -> JsonRoute:
    """Of the texts of a log and a route. `options` go into every `reverse_proxy`. Raises StepError."""
    with TemporaryDirectory(prefix="celadon-") as scratch:
        site = Path(scratch, "Caddyfile")
        site.write_text(_SITE.format(body="".join(bodies)), errors="surrogateescape")
        adapted = adapt(binary, site)
    if not adapted.ok:
        raise StepError(last_words(adapted), code="proxy_config_refused", next_command="celadon check")
    found = msgspec.json.decode(adapted.stdout, type=_Adapted)
    routes = next(iter(found.apps.http.servers.values())).routes
    for proxy in _find_proxies(routes):
        merged = _merge(options, proxy)
        proxy.clear()
        proxy.update(merged)
    log = next(log for name, log in found.logging.logs.items() if name != "default")
    return JsonRoute(routes=routes, log={**log, "include": [logger_of(app)]})


def _find_proxies(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        if value.get("handler") == "reverse_proxy":
            yield value
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from _find_proxies(each)


def _merge(theirs: Mapping[str, object], ours: Mapping[str, object]) -> dict[str, object]:
    merged = {**theirs, **ours}
    for key in theirs.keys() & ours.keys():
        left, right = theirs[key], ours[key]
        if isinstance(left, dict) and isinstance(right, dict):
            merged[key] = _merge(left, right)
        elif isinstance(left, list) and isinstance(right, list):
            merged[key] = [*left, *right]
    return merged


def render_handler(route: JsonRoute, *, name: str, loggers: Sequence[str]) -> dict[str, object]:
    """`name`: its `@id`. `loggers`: whom Caddy is to tell of each request; none where the server says it."""
    names: dict[str, object] = {"handle": [{"handler": "vars", "access_logger_names": [*loggers]}]}
    routes = [*([names] if loggers else []), *route.routes]
    mark = f"{name}_sha256_{_digest(routes)}_{_digest(route.log)}"
    return {
        "@id": name,
        "handler": "subroute",
        "routes": [{"@id": mark, **routes[0]}, *routes[1:]],
    }


def read_route(handler: object, log: object) -> JsonRoute | None:
    """The other way round."""
    routes = _bare_routes(handler)
    if not routes or not isinstance(log, dict):
        return None
    says = [each for each in routes if "access_logger_names" not in json.dumps(each.get("handle"))]
    return JsonRoute(routes=says, log=log)


def _bare_routes(handler: object) -> list[dict[str, object]]:
    routes = handler.get("routes") if isinstance(handler, dict) else None
    if not routes:
        return []
    return [{key: value for key, value in routes[0].items() if key != "@id"}, *routes[1:]]


def is_edited(handler: object, log: object) -> bool:
    """Whether somebody has changed what we wrote. One that holds no routes yet waits to be filled."""
    bare = _bare_routes(handler)
    if not bare or not isinstance(handler, dict):
        return False
    mark = str(handler["routes"][0].get("@id", ""))
    return not mark.endswith(f"_sha256_{_digest(bare)}_{_digest(log)}") or set(handler) != {"@id", "handler", "routes"}


def _digest(value: object) -> str:
    return digest(json.dumps(value, sort_keys=True))[:_DIGEST_LENGTH]
