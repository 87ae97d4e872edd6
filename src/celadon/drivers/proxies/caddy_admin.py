"""Caddy's admin API. A configuration is loaded by its socket where one is named, by `caddy reload` where not.

`caddy reload` sends no Origin to a Unix socket, and an admin API with `enforce_origin` refuses it (403, Caddy 2.6.2 and
2.11.7); so we speak to the socket ourselves. One at a time of all apps behind one Caddy: what one has adapted must not
be loaded after what another has adapted later.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from celadon.drivers.proxies.caddy_command import adapt, is_json, reload_by_command
from celadon.drivers.proxies.hold import hold_configuration
from celadon.host.commands import Completed
from celadon.host.http_exchange import Reply, exchange
from celadon.model.settings import ProxySettings

_TIMEOUT_S = 30.0
_MIGRATE = Path("/proc/sys/net/ipv4/tcp_migrate_req")
_ANSWER_LIMIT_BYTES = 64 * 1024
_OK = 200
_FORBIDDEN = 403
_ORIGIN = "http://127.0.0.1"
_UNIX = "unix/"


def ask_admin(address: str, path: str, *, until_s: float, limit_bytes: int) -> bytes:
    """The body of one answer. `address` as Caddy's configuration writes it, not `off`. Raises OSError, and ValueError
    for any answer but a 200 that is below the limit."""
    unix = address.startswith(_UNIX)
    name = "" if unix else address.removeprefix("tcp/")
    reply = _exchange(address, _render_get(path, name), until_s=until_s, limit_bytes=limit_bytes)
    if reply.status == _FORBIDDEN:
        asked = _render_get(path, name or "127.0.0.1", origin=f"http://{name or '127.0.0.1'}")
        reply = _exchange(address, asked, until_s=until_s, limit_bytes=limit_bytes)
    if reply.status != _OK or len(reply.body) >= limit_bytes:
        raise ValueError(f"{address} answered {reply.status} for {path}, {len(reply.body)} bytes")
    return reply.body


def reload(proxy: ProxySettings) -> Completed:
    """Answered when the new configuration serves, or with Caddy's reason."""
    with hold_configuration(proxy):
        return reload_held(proxy)


def reload_held(proxy: ProxySettings) -> Completed:
    """As `reload`, by whoever holds the configuration."""
    with _migrate_connections():
        return _reload(proxy)


def _reload(proxy: ProxySettings) -> Completed:
    if proxy.admin is None or not proxy.admin.startswith(_UNIX):
        return reload_by_command(proxy)
    adapted = adapt(proxy.binary, Path(proxy.config))
    if not adapted.ok:
        return adapted
    try:
        status, told = _post(proxy.admin, _render_load(proxy, adapted.stdout.encode()))
        if status == _FORBIDDEN:
            status, told = _post(proxy.admin, _render_load(proxy, adapted.stdout.encode(), origin=_ORIGIN))
    except OSError as error:
        return Completed(argv=(), exit_code=1, stdout="", stderr=f"{proxy.admin}: {error}")
    return Completed(argv=(), exit_code=0 if status == _OK else 1, stdout="", stderr=told)


@contextmanager
def _migrate_connections() -> Iterator[None]:
    """A Caddy that reloads closes its listening socket, and with it what the kernel has queued there. Meanwhile the
    kernel hands that to Caddy's new socket instead, where we may tell it to: 22 reloads failed 24 of 19,464 requests
    without and 6 to 9 of 25,652 with it (2.11.7), 0 of 19,148 (2.6.2)."""
    before = _read_setting()
    if before == "0":
        _write_setting("1")
    try:
        yield
    finally:
        if before == "0":
            _write_setting("0")


def _read_setting() -> str:
    try:
        return _MIGRATE.read_text().strip()
    except OSError:
        return ""


def _write_setting(value: str) -> None:
    with suppress(OSError):
        _MIGRATE.write_text(value)


def _render_load(proxy: ProxySettings, body: bytes, *, origin: str = "") -> bytes:
    """A name and an Origin are refused where none was asked for (2.6, 2.11), and asked for under `enforce_origin`. Else
    as `caddy reload --force` posts it; the source lets a SIGUSR1 of the owner's reload the same file."""
    adapter = "" if is_json(Path(proxy.config)) else "Caddy-Config-Source-Adapter: caddyfile\r\n"
    said = f"Host: 127.0.0.1\r\nOrigin: {origin}" if origin else "Host:"
    head = (
        f"POST /load HTTP/1.1\r\n{said}\r\nContent-Type: application/json\r\n"
        f"Cache-Control: must-revalidate\r\nCaddy-Config-Source-File: {proxy.config}\r\n{adapter}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _render_get(path: str, name: str, *, origin: str = "") -> bytes:
    said = f"\r\nOrigin: {origin}" if origin else ""
    return f"GET {path} HTTP/1.1\r\nHost: {name}{said}\r\nConnection: close\r\n\r\n".encode("ascii")


def _post(admin: str, request: bytes) -> tuple[int, str]:
    until_s = time.monotonic() + _TIMEOUT_S
    reply = _exchange(admin, request, until_s=until_s, limit_bytes=_ANSWER_LIMIT_BYTES)
    return reply.status, _pick_error(reply.body.decode(errors="replace"))


def _exchange(admin: str, request: bytes, *, until_s: float, limit_bytes: int) -> Reply:
    with _connect(admin, timeout_s=max(0.001, until_s - time.monotonic())) as stream:
        return exchange(stream, request, until_s=until_s, body_limit_bytes=limit_bytes)


def _connect(admin: str, *, timeout_s: float) -> socket.socket:
    """`admin` may end in `|0600`, the socket's mode."""
    if not admin.startswith(_UNIX):
        host, _, port = admin.removeprefix("tcp/").rpartition(":")
        return socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), timeout=timeout_s)
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.settimeout(timeout_s)
        stream.connect("/" + admin.removeprefix(_UNIX).partition("|")[0].lstrip("/"))
    except BaseException:
        stream.close()
        raise
    return stream


def _pick_error(body: str) -> str:
    head, _, rest = body.strip().partition('{"error":"')
    return rest.removesuffix('"}').replace('\\"', '"') or head
