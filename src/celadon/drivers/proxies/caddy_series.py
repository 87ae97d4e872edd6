"""Which of the series that a Caddy counts are an app's and nobody else's. Pure.

Caddy counts by server and by the name of a route's outermost handler, from 2.9 on by host too where it is told so
(`per_host`), and by nothing else: neither by site nor by upstream. So what its running configuration counts together
with anything but the app's slots is not taken.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from celadon.drivers.proxies.headers import OURS
from celadon.drivers.traffic.caddy_counters import CaddySeries

_PORT = re.compile(r":\d+$")
"""A site whose visitors say it is counted as `_other`, whatever its name."""
_PROXY = "reverse_proxy"
_PASSING = frozenset({"encode", "headers", "log_append", "map", "request_body", "rewrite", "tracing", "vars"})
"""Handlers that answer nothing themselves."""

Proxy = Mapping[str, Any]
Head = tuple[Mapping[str, Any], Mapping[str, Any]]
"""A server's route, and one of its handlers."""
IsOurs = Callable[[Proxy], bool]


def find_series(config: object, *, host: str, dials: frozenset[str], places: str) -> Sequence[CaddySeries]:
    """`config` is the running one, `host` the site's name with its port if it says one. The app's upstreams are
    `dials`, its slots, and what has `places` in it, which the pointer names. Of every server that has the app; none at
    all where one of them counts the app with something else, or does not count."""

    def is_ours(proxy: Proxy) -> bool:
        """As our text has it: our headers are taken off."""
        named = [str(upstream.get("dial", "")) for upstream in _list(proxy, "upstreams")]
        deleted = _table(_table(proxy.get("headers")).get("request")).get("delete") or ()
        return bool(named) and all(dial in dials or places in dial for dial in named) and set(OURS) <= set(deleted)

    http = _table(_table(_table(config).get("apps")).get("http"))
    found: list[CaddySeries] = []
    for name, server in _table(http.get("servers")).items():
        heads = [(route, handler) for route in _list(server, "routes") for handler in _list(route, "handle")]
        ours = [head for head in heads if any(is_ours(proxy) for proxy in _find_proxies(head[1]))]
        if not ours:
            continue
        settings = [each for each in (http.get("metrics"), server.get("metrics")) if each is not None]
        apart = not _PORT.search(host) and any(_table(each).get("per_host") for each in settings)
        hosts = _name_hosts(ours, host) if apart else None
        handler = str(ours[0][1].get("handler"))
        counted = [head for head in heads if head[1].get("handler") == handler and _may_get(head[0], hosts)]
        if not settings or any(head not in counted for head in ours) or not _is_alone(counted, is_ours):
            return []
        found.append(CaddySeries(server=name, handler=handler, hosts=hosts))
    return found


def _is_alone(counted: Sequence[Head], is_ours: IsOurs) -> bool:
    """Whether what is counted under one name is the app's, each request once."""
    handlers = [handler for _, handler in counted]
    once = handlers[0].get("handler") == _PROXY or (len(handlers) == 1 and _answers_all(handlers[0]))
    return once and all(_is_pure(handler, is_ours) for handler in handlers)


def _is_pure(handler: Mapping[str, Any], is_ours: IsOurs) -> bool:
    """It passes on, or sends to the app's slots only."""
    match handler.get("handler"):
        case "reverse_proxy":
            return is_ours(handler)
        case "subroute":
            return all(_is_pure(each, is_ours) for route in _list(handler, "routes") for each in _list(route, "handle"))
        case name:
            return name in _PASSING


def _answers_all(handler: Mapping[str, Any]) -> bool:
    """No request gets through it without a slot: Caddy itself answers those with an empty 200."""
    if handler.get("handler") == _PROXY:
        return True
    return any(
        _answers_all(each)
        for route in _list(handler, "routes")
        if not route.get("match")
        for each in _list(route, "handle")
    )


def _find_proxies(handler: Mapping[str, Any]) -> Iterator[Proxy]:
    """Everything in it that sends on."""
    if handler.get("handler") == _PROXY:
        yield handler
    for route in _list(handler, "routes"):
        for each in _list(route, "handle"):
            yield from _find_proxies(each)


def _name_hosts(ours: Sequence[Head], host: str) -> frozenset[str]:
    """All names of the app's site."""
    named = [_hosts_of(route) for route, _ in ours]
    return frozenset().union(*named) if all(named) else frozenset({host})


def _may_get(route: Mapping[str, Any], hosts: frozenset[str] | None) -> bool:
    """Whether a request for one of the hosts may come to it; None are all."""
    named = _hosts_of(route)
    return hosts is None or not named or bool(named & hosts)


def _hosts_of(route: Mapping[str, Any]) -> frozenset[str]:
    """Empty where a request for any may come to it."""
    matches = _list(route, "match")
    if not matches or any("host" not in each for each in matches):
        return frozenset()
    return frozenset(str(name).lower() for each in matches for name in each["host"])


def _table(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _list(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = found.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
