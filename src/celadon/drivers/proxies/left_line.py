"""One request of ours through the proxy, to see whether its log still lives."""

import os

from celadon.drivers.proxies.headers import LOGGED, LOOK_HEADER
from celadon.host.layout import Layout
from celadon.host.look_http import ask_look, parse_look_target
from celadon.host.look_mark import new_look, read_secret
from celadon.model.settings import ProxyKind, ProxySettings

_TIMEOUT_S = 0.5
_UNANSWERED_FROM = 500


def leave_line(layout: Layout, proxy: ProxySettings) -> bool:
    """True when it was answered so that its line must be in the log. A proxy's own 502 may be logged elsewhere. Blocks
    for half a second at most, 2 ms mostly."""
    mark = read_secret(layout.look_mark)
    nonce = f"{mark}{LOGGED}{os.urandom(8).hex()}" if proxy.kind is ProxyKind.HAPROXY else new_look(mark)
    target = parse_look_target(site=proxy.site, listen=proxy.listen, path=proxy.look_path)
    try:
        return ask_look(target, headers={LOOK_HEADER: nonce}, timeout_s=_TIMEOUT_S) < _UNANSWERED_FROM
    except OSError:
        return False
