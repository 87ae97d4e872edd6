"""A backend's server as its owner wrote it: where it is, and whether we can stand in its place."""

import re
from collections.abc import Sequence
from itertools import pairwise

from celadon.drivers.proxies.haproxy_config import Line, Section
from celadon.model.address import Address, SocketAddress, TcpAddress

_CHECKS = frozenset({"check", "no-check", "enabled", "init-addr", "inter", "fastinter", "downinter", "rise", "fall"})
_WITH_VALUE = frozenset({"init-addr", "inter", "fastinter", "downinter", "rise", "fall", "maxconn", "weight"})
_KEPT = re.compile(r"[0-9]{1,9}\Z")
_LOOPBACK = re.compile(r"(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost)\Z")
_PORT = re.compile(r"[1-9]\d{0,4}\Z")
_BINDING = ("cookie", "stick", "stick-table", "use-server", "dispatch", "persist", "appsession", "server-template")
"""A backend with one of these sends a client to a server by more than the route."""


def parse_address(word: str) -> Address | None:
    """None where it is not one address on this machine."""
    path = word.removeprefix("unix@")
    if path.startswith("/"):
        return SocketAddress(path=path)
    host, _, port = word.removeprefix("ipv4@").rpartition(":")
    if _LOOPBACK.match(host) and _PORT.match(port):
        return TcpAddress(host="127.0.0.1" if host == "localhost" else host, port=int(port))
    return None


def judge_backend(section: Section) -> tuple[Line | None, Address | None, str]:
    """Its one server's line and address, and why we cannot stand in its place, which is empty when we can."""
    servers = [line for line in section.lines if line.words[0] in {"server", "server-template"}]
    if len(servers) != 1 or len(servers[0].words) < 3:
        names = ", ".join(line.words[1] for line in servers if len(line.words) > 1)
        return None, None, f"{section.kind} {section.name} has {len(servers)} servers{f' ({names})' if names else ''}"
    line = servers[0]
    mode = section.last("mode")
    if mode is None or mode.words[1:2] != ("http",):
        return line, None, f"{section.kind} {section.name} is not in mode http"
    bound = next((own for own in (*section.defaults, *section.lines) if own.words[0] in _BINDING), None)
    if bound is not None:
        return line, None, f"`{' '.join(bound.words)}` ({bound.where}) sends clients to servers by more than the route"
    address = parse_address(line.words[2])
    if address is None:
        return line, None, f"server {line.words[2]} is not one address on this machine"
    odd = _find_odd(line.words[3:])
    return line, address, f"`{odd}` of server {line.words[1]} would not be kept" if odd else ""


def parse_kept(words: Sequence[str]) -> str:
    """Of a server's words those that its place keeps: the limit of its connections."""
    for name, value in pairwise(words[3:]):
        if name == "maxconn" and _KEPT.match(value):
            return f"maxconn {value}"
    return ""


def _find_odd(words: Sequence[str]) -> str:
    """The first word that says more than how it is checked and how many connections it takes."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in _WITH_VALUE and rest:
            rest.pop(0)
        elif word not in _CHECKS:
            return word
    return ""
