"""The HTTP question: asked as the real site would be asked, and answered with the reason when it is a no."""

import http.client
import json
import socket
import time
from urllib.parse import urlsplit

from msgspec import Struct

from celadon.host.text import flatten
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.observed import Answer
from celadon.model.settings import ReadinessSettings

_HEAD_BYTES = 200
_BODY_BYTES = 1 << 20
_REDIRECTS = range(300, 400)


class HttpProbe(Struct, frozen=True, kw_only=True):
    """`site` is the public URL: it gives the Host and X-Forwarded-Proto headers."""

    settings: ReadinessSettings
    site: str

    def describe(self) -> str:
        return f"{self.settings.method} {self.settings.path}"

    def ask(self, address: Address, *, timeout_s: float) -> Answer:
        began = time.monotonic()
        try:
            status, location, body = self._exchange(address, until_s=began + timeout_s)
        except TimeoutError:
            return Answer(ok=False, latency_ms=_ms_since(began), reason=f"no answer within {timeout_s:g} s")
        except ConnectionRefusedError:
            return Answer(ok=False, latency_ms=_ms_since(began), reason=f"nothing listens on {address}")
        except FileNotFoundError:
            return Answer(ok=False, latency_ms=_ms_since(began), reason=f"there is no socket at {address}")
        except (OSError, http.client.HTTPException) as error:
            reason = f"the connection broke: {error or type(error).__name__}"
            return Answer(ok=False, latency_ms=_ms_since(began), reason=reason)
        reason, hint = self._judge(status, location, body)
        return Answer(
            ok=not reason,
            latency_ms=_ms_since(began),
            status=status,
            head=_printable(body),
            reason=reason,
            hint=hint,
        )

    def headers(self) -> dict[str, str]:
        site = urlsplit(self.site)
        asked = {"Host": site.netloc, "X-Forwarded-Proto": site.scheme, "User-Agent": "celadon-probe"}
        given = {name.lower() for name in self.settings.headers}
        return {name: value for name, value in asked.items() if name.lower() not in given} | self.settings.headers

    def _exchange(self, address: Address, *, until_s: float) -> tuple[int, str, bytes]:
        connection = _Connection(address, until_s=until_s)
        try:
            connection.request(
                self.settings.method, self.settings.path, headers=self.headers() | {"Connection": "close"}
            )
            response = connection.getresponse()
            return response.status, response.getheader("Location") or "", _read_until(connection, response)
        finally:
            connection.close()

    def _judge(self, status: int, location: str, body: bytes) -> tuple[str, str]:
        """('', '') is a yes."""
        if status not in self.settings.statuses:
            return self._describe_status(status, location)
        text = body.decode(errors="replace")
        wanted = self.settings.body_contains
        if wanted is not None and wanted not in text:
            return f"status {status}, but the body does not contain {wanted!r}", ""
        return (self._judge_json(text), "") if self.settings.json_path is not None else ("", "")

    def _describe_status(self, status: int, location: str) -> tuple[str, str]:
        expected = ", ".join(map(str, self.settings.statuses))
        if status in _REDIRECTS:
            hint = (
                "the app redirects what it takes for plain http, or for another host; readiness wants the answer itself"
            )
            return f"status {status} to {_printable(location.encode())}, expected {expected}", hint
        hint = ""
        if status == 400:  # Django's DisallowedHost, Rails' HostAuthorization
            host = self.headers().get("Host", "")
            hint = f"the app may refuse the Host header {host!r}: allow it, or set [readiness.headers] Host"
        return f"status {status}, expected {expected}", hint

    def _judge_json(self, text: str) -> str:
        try:
            value = json.loads(text)
            for part in (self.settings.json_path or "").split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
        except (ValueError, KeyError, IndexError, TypeError):
            return f"the body has no JSON value at {self.settings.json_path}"
        if value != self.settings.json_equals:
            return f"{self.settings.json_path} is {value!r}, expected {self.settings.json_equals!r}"
        return ""


class _Connection(http.client.HTTPConnection):
    """Every read is bounded by one deadline, so that an app which trickles bytes cannot hold a probe."""

    def __init__(self, address: Address, *, until_s: float) -> None:
        super().__init__("localhost")
        self._address = address
        self._until_s = until_s

    def connect(self) -> None:
        match self._address:
            case TcpAddress(host=host, port=port):
                self.sock = socket.create_connection((host, port), timeout=self.left_s())
            case SocketAddress(path=path):
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.settimeout(self.left_s())
                self.sock.connect(path)
        self.sock.settimeout(self.left_s())

    def left_s(self) -> float:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s


def _read_until(connection: _Connection, response: http.client.HTTPResponse) -> bytes:
    parts, total = [], 0
    while total < _BODY_BYTES:
        if connection.sock is not None:
            connection.sock.settimeout(connection.left_s())
        connection.left_s()
        part = response.read1(65536)
        if not part:
            break
        parts.append(part)
        total += len(part)
    return b"".join(parts)


def _ms_since(began: float) -> float:
    return (time.monotonic() - began) * 1000


def _printable(body: bytes) -> str:
    return flatten(body[:_HEAD_BYTES].decode(errors="replace"))
