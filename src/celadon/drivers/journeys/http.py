"""Journeys of HTTP requests, each step on a fresh connection with the cookies of those before it.

A slot is asked as the proxy would ask it: with the site's Host and scheme. The proxy is asked where the site listens on
this machine, with TLS and the site's name where the site has it, and with the mark of our own looks, which keeps the
requests out of what visitors did and which the proxy takes off.
"""

import socket
import time
from collections.abc import Callable, Mapping
from functools import partial

from msgspec import Struct, field

from celadon.drivers.journeys.judging import judge_reply
from celadon.drivers.journeys.marker import new_run
from celadon.drivers.journeys.searching import search_body
from celadon.drivers.journeys.texts import (
    NothingCapturedError,
    fill_body,
    fill_header,
    fill_path,
    read_capture,
    take_cookies,
)
from celadon.host.connecting import connect
from celadon.host.http_exchange import Reply, exchange
from celadon.host.look_http import connect_target, parse_look_target
from celadon.host.text import flatten
from celadon.model.journeys import Journey, JourneyStep
from celadon.model.observed import Answer
from celadon.model.place import Place

BODY_LIMIT_BYTES = 1 << 20
_HEAD_BYTES = 200


class _Walk(Struct, kw_only=True):
    """One run of one journey. `until_s` is a monotonic instant."""

    place: Place
    until_s: float
    variables: dict[str, str]
    cookies: dict[str, str] = field(default_factory=dict)
    reply: Reply | None = None
    refused: bool = False


class HttpJourneys(Struct, frozen=True, kw_only=True):
    """`site` is the public URL: it gives the Host and X-Forwarded-Proto headers. `listen` is where the proxy takes it
    on this machine, `new_look` what marks a request through it as ours."""

    site: str
    listen: str
    new_look: Callable[[], Mapping[str, str]]

    def ask(self, journey: Journey, place: Place) -> Answer:
        began_s = time.monotonic()
        walk = _Walk(
            place=place,
            until_s=began_s + journey.timeout_s,
            variables={"run": new_run()},
        )
        reason = ""
        for number, step in enumerate(journey.steps, start=1):
            reason = self._take_step(walk, step)
            if reason:
                path = fill_path(step.path, walk.variables, site=self.site)
                reason = flatten(f"step {number}, {step.method} {path}: {reason}")
                break
        return Answer(
            ok=not reason,
            latency_ms=(time.monotonic() - began_s) * 1000,
            status=walk.reply.status if walk.reply else None,
            head=flatten(walk.reply.body[:_HEAD_BYTES].decode(errors="replace")) if walk.reply else "",
            reason=reason,
            refused=walk.refused,
        )

    def _take_step(self, walk: _Walk, step: JourneyStep) -> str:
        """Empty when all was as expected."""
        walk.reply = None
        began_s = time.monotonic()
        try:
            reply = walk.reply = self._exchange(walk, step)
        except TimeoutError:
            return f"no answer within {time.monotonic() - began_s:.1f} s, when the journey's timeout was over"
        except OSError as error:
            walk.refused = isinstance(error, ConnectionRefusedError | FileNotFoundError)
            return f"no answer: {error}"
        if len(reply.body) > BODY_LIMIT_BYTES:
            return "the body is larger than 1 MiB"
        latency_s = time.monotonic() - began_s
        reason = judge_reply(reply, step.expect, variables=walk.variables, latency_s=latency_s)
        return reason or _remember(walk, step, reply)

    def _exchange(self, walk: _Walk, step: JourneyStep) -> Reply:
        request = self._render_request(walk, step)
        left_s = max(0.001, walk.until_s - time.monotonic())
        with self._connect(walk.place, timeout_s=left_s) as stream:
            return exchange(
                stream,
                request,
                until_s=walk.until_s,
                body_limit_bytes=BODY_LIMIT_BYTES + 1,
                bodiless=step.method == "HEAD",
            )

    def _connect(self, place: Place, *, timeout_s: float) -> socket.socket:
        if not place.through_proxy:
            return connect(place.address, timeout_s)
        return connect_target(parse_look_target(site=self.site, listen=self.listen, path="/"), timeout_s=timeout_s)

    def _render_request(self, walk: _Walk, step: JourneyStep) -> bytes:
        scheme, _, host = self.site.partition("://")
        body = fill_body(step.body, step.body_kind, walk.variables).encode()
        headers = {"host": host, "user-agent": "celadon-journey", "accept": "*/*"}
        if not walk.place.through_proxy:
            headers["x-forwarded-proto"] = scheme
        if walk.cookies:
            headers["cookie"] = fill_header("; ".join(f"{name}={value}" for name, value in walk.cookies.items()), {})
        if body:
            headers["content-type"] = step.body_kind.content_type
        headers |= {name.lower(): fill_header(value, walk.variables) for name, value in step.headers.items()}
        if body or step.method not in {"GET", "HEAD"}:
            headers["content-length"] = str(len(body))
        headers["connection"] = "close"
        if walk.place.through_proxy:
            headers |= self.new_look()
        path = fill_path(step.path, walk.variables, site=self.site)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{step.method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def _remember(walk: _Walk, step: JourneyStep, reply: Reply) -> str:
    take_cookies(walk.cookies, reply.set_cookies)
    text = reply.body.decode(errors="replace")
    try:
        for capture in step.captures:
            search = partial(search_body, timeout_s=walk.until_s - time.monotonic())
            walk.variables[capture.name] = read_capture(capture, headers=reply.headers, text=text, search=search)
    except NothingCapturedError as error:
        return f"nothing to capture as {capture.name}: {error}"
    return ""
