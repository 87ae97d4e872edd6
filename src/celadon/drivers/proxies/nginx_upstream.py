"""Where a `proxy_pass` of the owner's goes, and which Host nginx would tell there. Pure."""

import re
from collections.abc import Sequence

from msgspec import Struct

from celadon.drivers.proxies.nginx_config import Config, Directive, flatten, unquote, walk
from celadon.model.address import Address, SocketAddress, TcpAddress

_URL = re.compile(
    r"http://(?P<unix>unix:(?P<path>[^:$]+):?)?(?P<host>\[[^\]$]*\]|[^/:\[$]*)?(?::(?P<port>\d+))?(?P<uri>/.*)?\Z"
)
_LOOPBACK = re.compile(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}\Z")
_HTTP_PORT = 80
_SERVER_MARKS = ("backup", "down", "max_conns=")


class Passing(Struct, frozen=True, kw_only=True):
    """`url` is as written but for its quotes; `host` what nginx tells the app unless the owner says otherwise; `uri`
    what takes the place of the location's prefix, empty: nothing does. `block` is the `upstream` that is named, if one
    is, and `server` its only one."""

    url: str
    host: str
    uri: str
    address: Address | None
    reason: str = ""
    block: Directive | None = None
    server: Directive | None = None

    @property
    def base(self) -> str:
        """The URL without its path."""
        return self.url.removesuffix(self.uri) if self.uri else self.url


def parse_passing(directive: Directive, config: Config) -> Passing:
    url = unquote(directive.args[0]) if directive.args else ""
    found = _URL.match(url)
    if found is None:
        why = "asks with TLS" if url.startswith("https://") else "is made of variables"
        reason = f"{directive.name} {url} {why if '$' in url or url.startswith('https://') else 'is not understood'}"
        return Passing(url=url, host="", uri="", address=None, reason=reason)
    uri = found["uri"] or ""
    if found["unix"]:
        path = found["path"]
        return Passing(url=url, host="localhost", uri=uri, address=SocketAddress(path=path))
    host, port = found["host"], int(found["port"] or _HTTP_PORT)
    told = host if port == _HTTP_PORT else f"{host}:{port}"
    block = None if found["port"] else _find_upstream(config, host)
    if block is not None:
        server, reason = _choose_server(block)
        address, reason = (None, reason) if server is None else _parse_server(server)
        return Passing(url=url, host=told, uri=uri, address=address, reason=reason, block=block, server=server)
    address = parse_local(host, port)
    return Passing(url=url, host=told, uri=uri, address=address, reason="" if address else _tell_remote(host, port))


def parse_local(host: str, port: int) -> TcpAddress | None:
    """None where that is not this machine's IPv4 loopback, on which slots listen."""
    if host == "localhost":
        return TcpAddress(port=port)
    return TcpAddress(port=port, host=host) if _LOOPBACK.match(host) else None


def render_server(address: Address) -> str:
    return f"unix:{address.path}" if isinstance(address, SocketAddress) else str(address)


def _tell_remote(host: str, port: int) -> str:
    where = "on IPv6, where no slot listens" if host.startswith("[") else "not an address on this machine"
    return f"{host}:{port} is {where}"


def _find_upstream(config: Config, name: str) -> Directive | None:
    blocks = (found for found, _ in walk(config.directives) if found.name == "upstream" and found.block is not None)
    return next((block for block in blocks if block.args and unquote(block.args[0]) == name), None)


def _choose_server(block: Directive) -> tuple[Directive | None, str]:
    name = f"upstream {' '.join(block.args)}"
    servers = [line for line in flatten(block.block or ()) if line.name == "server"]
    if len(servers) != 1:
        return None, f"{name} has {len(servers)} servers"
    marks = _marks_of(servers[0].args[1:])
    if marks:
        return None, f"{name} has a server with {marks[0]}"
    return servers[0], ""


def _marks_of(words: Sequence[str]) -> list[str]:
    return [word for word in words if word.startswith(_SERVER_MARKS)]


def _parse_server(server: Directive) -> tuple[Address | None, str]:
    word = unquote(server.args[0]) if server.args else ""
    if word.startswith("unix:"):
        return SocketAddress(path=word.removeprefix("unix:")), ""
    host, colon, port = word.rpartition(":")
    if not colon or not port.isdigit():
        host, port = word, str(_HTTP_PORT)
    address = parse_local(host, int(port))
    return address, "" if address else _tell_remote(host, int(port))
