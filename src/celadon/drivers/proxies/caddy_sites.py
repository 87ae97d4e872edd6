"""Which sites of a Caddyfile could be adopted, and why the others could not."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from celadon.contracts.adoption import FoundSite
from celadon.drivers.proxies.caddy_command import adapt, last_words
from celadon.drivers.proxies.caddy_config import CaddyConfig, read_config
from celadon.drivers.proxies.caddy_tokens import CaddyfileError, Directive
from celadon.drivers.proxies.caddy_walk import Place, find_global_options, find_places
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.errors import StepError

KEPT_OPTIONS = frozenset({
    "header_up", "header_down", "flush_interval", "request_buffers", "response_buffers", "buffer_requests",
    "buffer_responses", "max_buffer_size", "trusted_proxies",
})  # fmt: skip
"""Subdirectives of `reverse_proxy` that mean the same in each of our own."""
_HOLDS = frozenset({"handle", "handle_path", "route"})
_BEFORE = frozenset({"abort", "error", "copy_response", "respond", "metrics"})
"""What Caddy sorts between `route` and `reverse_proxy`: a matcher moved into a `route` would overtake it."""
_ADDRESS = re.compile(r"(?:(?P<scheme>https?)://)?(?P<host>\[[^\]]*\]|[^:/]*)(?::(?P<port>\d+))?(?P<path>/.*)?")
_UPSTREAM = re.compile(r"(?:http://)?(?P<host>localhost|127\.\d+\.\d+\.\d+|)(?::(?P<port>\d+))?")


class CaddySites:
    """Implements contracts.adoption.SiteFinder for a Caddyfile."""

    def __init__(self, config: Path, binary: str) -> None:
        self._config = config
        self._binary = binary

    def find_sites(self) -> Sequence[FoundSite]:
        adapted = adapt(self._binary, self._config)
        if not adapted.ok:
            raise StepError(last_words(adapted), code="proxy_config_refused", next_command="celadon init")
        try:
            config = read_config(self._config)
        except (OSError, CaddyfileError) as error:
            raise StepError(str(error), code="proxy_config_unread", next_command="celadon init") from error
        return [describe_place(config, place) for place in find_places(config)]


def describe_place(config: CaddyConfig, place: Place) -> FoundSite:
    site, listen = _name_site(config, place)
    upstream = find_upstream(place.directive)
    reason = next(_find_reasons(config, place, upstream), "")
    return FoundSite(
        where=f"{place.directive.file}:{place.directive.line}",
        names=tuple(name for address in place.site.addresses if (name := _split_address(address)[1])),
        site=site,
        listen=listen,
        path=_find_path(place),
        upstream=upstream,
        reason=reason,
        by_hand=_BY_HAND if reason else "",
    )


_BY_HAND = (
    "import celadon/<app>.log    # at the site's own level\nimport celadon/<app>.route  # where reverse_proxy stands"
)


def split_matcher(directive: Directive) -> tuple[str, tuple[str, ...]]:
    """The matcher, empty without one, and the upstreams of the same line."""
    args = directive.args
    return (args[0], args[1:]) if args and args[0][:1] in {"/", "@", "*"} else ("", args)


def find_upstream(directive: Directive) -> Address | None:
    """The one address on this machine that all goes to."""
    named = _upstreams(directive)
    return parse_upstream(named[0]) if len(named) == 1 and directive.name == "reverse_proxy" else None


def _upstreams(directive: Directive) -> list[str]:
    also = [arg for each in directive.block or () if each.name == "to" for arg in each.args]
    return [*split_matcher(directive)[1], *also]


def parse_upstream(text: str) -> Address | None:
    if text.startswith("unix//"):
        return SocketAddress(path="/" + text.removeprefix("unix//"))
    match = _UPSTREAM.fullmatch(text)
    if match is None or not (match["port"] or match["host"]):
        return None
    host = match["host"] if match["host"].startswith("127.") else "127.0.0.1"
    return TcpAddress(port=int(match["port"] or 80), host=host)


def _find_reasons(config: CaddyConfig, place: Place, upstream: Address | None) -> Iterator[str]:
    directive = place.directive
    if directive.name != "reverse_proxy":
        yield f"{directive.name} is not taken over"
    named = _upstreams(directive)
    if len(named) != 1:
        yield f"reverse_proxy has {len(named)} upstreams"
    elif upstream is None:
        yield f"{named[0]} is not one address on this machine over plain HTTP"
    for each in directive.block or ():
        if each.name not in KEPT_OPTIONS | {"to"}:
            yield f"reverse_proxy has {each.name}: it stays yours"
    yield from _find_reasons_above(config, place)
    yield from _find_reasons_beside(place)


def _find_reasons_above(config: CaddyConfig, place: Place) -> Iterator[str]:
    for each in place.above:
        if each.name == "import" and len(each.args) > 1:
            yield f"import {' '.join(each.args)} has arguments"
        elif each.name == "import":
            users = {p.site.directive.line for p in find_places(config) if p.directive == place.directive}
            if len(users) > 1:
                yield f"it stands in {each.args[0]}, which {len(users)} sites import"
        elif each.name not in _HOLDS:
            yield f"it stands in {each.name}"
    names = [name for address in place.site.addresses if (name := _split_address(address)[1])]
    if any("{" in name for name in place.site.addresses):
        yield f"{place.site.addresses[0]} is not a plain address"
    if not names or all("*" in name for name in names):
        yield f"{', '.join(place.site.addresses)} names no host to look for"


def _find_reasons_beside(place: Place) -> Iterator[str]:
    matcher = split_matcher(place.directive)[0]
    others = [each for each in place.beside if each != place.directive]
    overtaken = [each.name for each in others if each.name in _BEFORE]
    if matcher and overtaken:
        yield f"reverse_proxy {matcher} stands beside {overtaken[0]}, which Caddy takes first"
    index = place.beside.index(place.directive)
    for each in place.beside[index + 1 :]:
        if each.name == "reverse_proxy" and split_matcher(each)[0].startswith("@") and not matcher:
            yield f"reverse_proxy {split_matcher(each)[0]} stands behind it, which Caddy takes first: put it before"


def _find_path(place: Place) -> str:
    """The URL path that its requests begin with."""
    paths = [each.args[0] for each in place.above if each.name in _HOLDS and each.args]
    paths += [matcher] if (matcher := split_matcher(place.directive)[0]) else []
    found = next((path for path in reversed(paths) if path.startswith("/")), "/")
    return found.removesuffix("*") or "/"


def _name_site(config: CaddyConfig, place: Place) -> tuple[str, str]:
    """As proxy.site and proxy.listen take them."""
    options = {each.name: each.args for each in find_global_options(config)}
    scheme, host, port = next(
        (parts for address in place.site.addresses if (parts := _split_address(address))[1] and "*" not in parts[1]),
        _split_address(place.site.addresses[0]),
    )
    http, https = _port(options, "http_port", "80"), _port(options, "https_port", "443")
    scheme = scheme or ("http" if port == http else "https")
    port = port or (http if scheme == "http" else https)
    usual = port == ("80" if scheme == "http" else "443")
    bound = next((each.args for each in place.site.body if each.name == "bind"), options.get("default_bind", ()))
    return f"{scheme}://{host or 'localhost'}{'' if usual else f':{port}'}", f"{_listen_host(bound)}:{port}"


def _port(options: dict[str, tuple[str, ...]], name: str, default: str) -> str:
    return (options.get(name) or (default,))[0]


def _listen_host(bound: Sequence[str]) -> str:
    host = bound[0] if bound else ""
    if ":" in host and not host.startswith("unix"):
        return "[::1]" if host in {"::", "[::]"} else f"[{host.strip('[]')}]"
    return host if re.fullmatch(r"[\d.]+", host) and host != "0.0.0.0" else "127.0.0.1"  # noqa: S104 - read, not bound


def _split_address(address: str) -> tuple[str, str, str]:
    """Scheme, host and port of a site's address, each empty where it is not said."""
    match = _ADDRESS.fullmatch(address)
    return (match["scheme"] or "", match["host"], match["port"] or "") if match else ("", "", "")
