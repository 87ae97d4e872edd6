"""The HTTP question: asked as the real site would be asked, and answered with the reason when it is a no."""

import time
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from celadon.host.connecting import connect
from celadon.host.http_exchange import BrokenReplyError, Reply, exchange
from celadon.host.text import flatten
from celadon.model.address import Address
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
            reply = self._exchange(address, timeout_s=timeout_s, until_s=began + timeout_s)
        except TimeoutError:
            return Answer(ok=False, latency_ms=_ms_since(began), reason=f"no answer within {timeout_s:g} s")
        except ConnectionRefusedError:
            return Answer(ok=False, latency_ms=_ms_since(began), reason=f"nothing listens on {address}", refused=True)
        except FileNotFoundError:
            return Answer(
                ok=False, latency_ms=_ms_since(began), reason=f"there is no socket at {address}", refused=True
            )
        except OSError as error:
            reason = str(error) if isinstance(error, BrokenReplyError) else f"the connection broke: {error}"
            return Answer(ok=False, latency_ms=_ms_since(began), reason=reason)
        reason, hint = self._judge(reply)
        return Answer(
            ok=not reason,
            latency_ms=_ms_since(began),
            status=reply.status,
            head=_printable(reply.body),
            reason=reason,
            hint=hint,
        )

    def headers(self) -> dict[str, str]:
        site = urlsplit(self.site)
        asked = {"Host": site.netloc, "X-Forwarded-Proto": site.scheme, "User-Agent": "celadon-probe"}
        given = {name.lower() for name in self.settings.headers}
        return {name: value for name, value in asked.items() if name.lower() not in given} | self.settings.headers

    def _exchange(self, address: Address, *, timeout_s: float, until_s: float) -> Reply:
        bodiless = self.settings.method == "HEAD"
        with connect(address, timeout_s) as stream:
            request = self._render_request()
            return exchange(stream, request, until_s=until_s, body_limit_bytes=_BODY_BYTES, bodiless=bodiless)

    def _render_request(self) -> bytes:
        headers = self.headers() | {"Accept": "*/*", "Connection": "close"}
        if self.settings.method == "POST":
            headers["Content-Length"] = "0"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.settings.method} {self.settings.path} HTTP/1.1\r\n{lines}\r\n".encode()

    def _judge(self, reply: Reply) -> tuple[str, str]:
        """('', '') is a yes."""
        if reply.status not in self.settings.statuses:
            return self._describe_status(reply.status, reply.headers.get("location", ""))
        text = reply.body.decode(errors="replace")
        wanted = self.settings.body_contains
        if wanted is not None and wanted not in text:
            return f"status {reply.status}, but the body does not contain {wanted!r}", ""
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
            value = msgspec.json.decode(text)
            for part in (self.settings.json_path or "").split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
        except (msgspec.DecodeError, ValueError, KeyError, IndexError, TypeError):
            return f"the body has no JSON value at {self.settings.json_path}"
        if value != self.settings.json_equals:
            return f"{self.settings.json_path} is {value!r}, expected {self.settings.json_equals!r}"
        return ""


def _ms_since(began: float) -> float:
    return (time.monotonic() - began) * 1000


def _printable(body: bytes) -> str:
    return flatten(body[:_HEAD_BYTES].decode(errors="replace"))
