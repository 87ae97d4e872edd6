"""Having Caddy load its configuration: by its admin socket where one is named, by `caddy reload` where not.

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
from celadon.host.http_exchange import exchange
from celadon.model.settings import ProxySettings

_TIMEOUT_S = 30.0
_MIGRATE = Path("/proc/sys/net/ipv4/tcp_migrate_req")
_ANSWER_LIMIT_BYTES = 64 * 1024
_FORBIDDEN = 403
_ORIGIN = "http://127.0.0.1"
_UNIX = "unix/"


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
    return Completed(argv=(), exit_code=0 if status == 200 else 1, stdout="", stderr=told)


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


def _post(admin: str, request: bytes) -> tuple[int, str]:
    """`admin` may end in `|0600`, the socket's mode."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(_TIMEOUT_S)
        stream.connect("/" + admin.removeprefix(_UNIX).partition("|")[0].lstrip("/"))
        until_s = time.monotonic() + _TIMEOUT_S
        reply = exchange(stream, request, until_s=until_s, body_limit_bytes=_ANSWER_LIMIT_BYTES)
        return reply.status, _pick_error(reply.body.decode(errors="replace"))


def _pick_error(body: str) -> str:
    head, _, rest = body.strip().partition('{"error":"')
    return rest.removesuffix('"}').replace('\\"', '"') or head
