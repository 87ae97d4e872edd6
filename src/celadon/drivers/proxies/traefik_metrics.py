"""Where a running Traefik tells what it counts, found in its static configuration, and asking it: 2 ms mostly."""

from celadon.drivers.proxies.traefik_static import StaticConfig
from celadon.host.look_http import LookTarget, ask_reply

_TIMEOUT_S = 0.5
_LIMIT_BYTES = 16 * 1024 * 1024
_OK = 200
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104  asked, not bound


def find_metrics(static: StaticConfig) -> LookTarget | None:
    """None where Traefik counts nothing by service, or tells it at no address that is known."""
    point = static.metrics
    host, _, port = (point.address if point is not None else "").partition("/")[0].rpartition(":")
    if point is None or not port.isdigit():
        return None
    address = (_EVERYWHERE.get(host, host.strip("[]")), int(port))
    return LookTarget(address=address, tls=point.tls, host="localhost", path="/metrics")


def read_metrics(target: LookTarget, *, limit_bytes: int = _LIMIT_BYTES) -> str:
    """Raises OSError, and ValueError for an answer that is not the whole of it."""
    reply = ask_reply(target, headers={}, timeout_s=_TIMEOUT_S, body_limit_bytes=limit_bytes)
    if reply.status != _OK or len(reply.body) >= limit_bytes:
        raise ValueError(f"{target.path} answered {reply.status}, {len(reply.body)} bytes")
    return reply.body.decode()
