"""The lines that a site of ours needs when we are gone: for a place whose owner wrote our include by hand. Pure."""

from celadon.drivers.proxies.nginx_text import RouteText, render_plain_headers
from celadon.drivers.proxies.nginx_upstream import render_server
from celadon.model.address import Address


def render_plain_route(text: RouteText, *, address: Address) -> list[str]:
    lines = [f"proxy_pass http://{render_server(address)};"]
    if text.owner_decides:
        return lines
    version = [] if "proxy_http_version" in text.own else ["proxy_http_version 1.1;"]
    kept = [f"proxy_set_header {' '.join(words)};" for words in text.kept_headers]
    ours = [line.replace(f"$celadon_connection_{text.id}", _variable(text)) for line in render_plain_headers(text)]
    return [*lines, *version, *ours, *kept]


def render_plain_http(text: RouteText) -> str:
    """What those lines need in `http`."""
    return f"map $http_upgrade {_variable(text)} {{ default upgrade; '' close; }}"


def _variable(text: RouteText) -> str:
    return f"$connection_of_{text.id}"
