"""One small HTTP/1.1 request on a fresh connection, to see who answers through the proxy.

Certificates are not verified: a look goes to this machine, identity comes from the proxy's own log, and a certificate
that has run out, or that only a CDN in front trusts, is the same with every release.
"""

import socket
import time

from msgspec import Struct

from celadon.host.http_exchange import Reply, exchange

_ANSWER_LIMIT_BYTES = 1024 * 1024


class LookTarget(Struct, frozen=True, kw_only=True):
    """Where a look connects (`address`) and as whose visitor (`host`, as in the Host header)."""

    address: tuple[str, int]
    tls: bool
    host: str
    path: str


def parse_look_target(*, site: str, listen: str, path: str) -> LookTarget:
    """`site` is a URL, `listen` is `host:port` or `[v6]:port`. Raises ValueError."""
    scheme, separator, rest = site.partition("://")
    if not separator or scheme not in {"http", "https"}:
        raise ValueError(f"{site!r} is not an http or https URL")
    address, _, port = listen.rpartition(":")
    host = rest.split("/", 1)[0]
    return LookTarget(address=(address.strip("[]"), int(port)), tls=scheme == "https", host=host, path=path)


def is_refused(target: LookTarget) -> bool:
    """Nobody listens there. Costs one connection, some 50 µs on this machine's own addresses."""
    try:
        socket.create_connection(target.address, timeout=1.0).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def ask_look(target: LookTarget, *, headers: dict[str, str], timeout_s: float) -> int:
    """The status of one answer, as `ask_reply`."""
    return ask_reply(target, headers=headers, timeout_s=timeout_s).status


def ask_reply(
    target: LookTarget,
    *,
    headers: dict[str, str],
    timeout_s: float,
    body_limit_bytes: int = _ANSWER_LIMIT_BYTES,
) -> Reply:
    """One answer, read to its end or to the limit, by default 1 MiB. Blocks at most `timeout_s`. Raises OSError
    (TimeoutError among them), also for an answer that is not HTTP."""
    until_s = time.monotonic() + timeout_s
    with connect_target(target, timeout_s=timeout_s) as stream:
        request = _render_request(target, headers)
        return exchange(stream, request, until_s=until_s, body_limit_bytes=body_limit_bytes)


def connect_target(target: LookTarget, *, timeout_s: float) -> socket.socket:
    """A fresh connection, with TLS and the site's name where the site has it. Raises OSError."""
    stream = socket.create_connection(target.address, timeout=timeout_s)
    if not target.tls:
        return stream
    try:
        return _wrap_tls(stream, host=_bare_host(target.host))
    except BaseException:
        stream.close()
        raise


def _wrap_tls(stream: socket.socket, *, host: str) -> socket.socket:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(stream, server_hostname=host)


def _bare_host(host: str) -> str:
    if host.startswith("["):
        return host[1 : host.index("]")]
    return host.split(":", 1)[0]


def _render_request(target: LookTarget, headers: dict[str, str]) -> bytes:
    given = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    fixed = "Accept: */*\r\nUser-Agent: celadon\r\nConnection: close\r\n"
    return f"GET {target.path} HTTP/1.1\r\nHost: {target.host}\r\n{fixed}{given}\r\n".encode("ascii")
