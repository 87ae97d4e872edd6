"""Journeys against a small real shop: what passes, and what a failed step says."""

import re
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import ClassVar
from urllib.parse import parse_qs

import pytest

from celadon.contracts.journeys import Journeys
from celadon.drivers.journeys.http import BODY_LIMIT_BYTES, HttpJourneys
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.journeys import BodyKind, Capture, CaptureKind, Expectation, Journey, JourneyStep
from celadon.model.names import Slot
from celadon.model.observed import Answer
from celadon.model.place import Place
from tests.fakes.world import make_release

TOKEN = 'a+b=&"c'


class Shop(BaseHTTPRequestHandler):
    """Answers by path; what was asked is kept on the class."""

    asked: ClassVar[list[tuple[str, str, str, str]]] = []
    headers_seen: ClassVar[list[Message]] = []

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/login":
                self.answer(
                    200,
                    f"<input name=token value='{TOKEN}'>",
                    [("Set-Cookie", "sid=1; Path=/"), ("Set-Cookie", "lang=en")],
                )
            case "/logout":
                self.answer(200, "bye", [("Set-Cookie", "sid=; Max-Age=0")])
            case "/cart":
                self.answer(200, '{"cart": {"id": 7, "items": [{"name": "tea"}], "paid": true}}')
            case "/old":
                self.answer(302, "", [("Location", "http://shop.example/new?x=1")])
            case "/slow":
                time.sleep(0.15)
                self.answer(200, "ok")
            case "/hang":
                time.sleep(1.5)
            case "/deep":
                self.answer(200, "[" * 100_000)
            case "/forest":
                self.answer(200, f"{'a' * 40}! ü")
            case "/large":
                self.answer(200, "x" * (BODY_LIMIT_BYTES + 1))
            case _:
                self.answer(200, f"this is {self.path}")

    def do_POST(self) -> None:
        self.answer(201, "made", body=self.rfile.read(int(self.headers["Content-Length"])).decode())

    def answer(self, status: int, text: str, headers: list[tuple[str, str]] | None = None, *, body: str = "") -> None:
        type(self).headers_seen.append(self.headers)
        type(self).asked.append((self.command, self.path, self.headers.get("Cookie", ""), body))
        self.send_response(status)
        for name, value in headers or []:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def address_string(self) -> str:
        return "local"


@pytest.fixture
def shop() -> Iterator[TcpAddress]:
    Shop.asked.clear()
    Shop.headers_seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield TcpAddress(port=server.server_address[1])
        server.shutdown()


def ask(address: Address, *steps: JourneyStep, timeout_s: float = 5.0) -> Answer:
    journeys: Journeys = HttpJourneys(site="http://shop.example", listen="127.0.0.1:1", new_look=dict)
    place = Place(slot=Slot.GREEN, address=address, release=make_release(2))
    return journeys.ask(Journey(name="buy", steps=steps, timeout_s=timeout_s), place)


def get(path: str, *captures: Capture, **expect: object) -> JourneyStep:
    return JourneyStep(path=path, captures=captures, expect=Expectation(**expect))  # type: ignore[arg-type]


def capture(name: str, kind: CaptureKind, where: str) -> Capture:
    return Capture(name=name, kind=kind, where=where)


def test_cookies_go_with_the_steps_after_them_until_they_are_taken_back(shop: TcpAddress) -> None:
    """Several of one answer too."""
    assert ask(shop, get("/login"), get("/cart"), get("/logout"), get("/end")).ok
    assert [cookie for _, _, cookie, _ in Shop.asked] == ["", "sid=1; lang=en", "sid=1; lang=en", "lang=en"]


def test_no_cookie_of_one_run_is_seen_by_the_next(shop: TcpAddress) -> None:
    """Each visitor is a new one."""
    ask(shop, get("/login"))
    ask(shop, get("/cart"))
    assert Shop.asked[-1][2] == ""


@pytest.mark.parametrize(
    ("path", "kind", "where", "then"),
    [
        ("/cart", CaptureKind.JSON, "cart.id", "/7"),
        ("/cart", CaptureKind.JSON, "cart.items.0.name", "/tea"),
        ("/login", CaptureKind.BODY, r"name=(\w+)", "/token"),
        ("/plain", CaptureKind.BODY, r"is /\w+", "/is%20/plain"),
    ],
)
def test_what_is_captured_is_used_later(shop: TcpAddress, path: str, kind: CaptureKind, where: str, then: str) -> None:
    """From the JSON, from the body; made safe for a path."""
    assert ask(shop, get(path, capture("it", kind, where)), get("/{it}")).ok
    assert Shop.asked[-1][1] == then


def test_a_redirect_is_not_followed_but_can_be_expected_and_captured(shop: TcpAddress) -> None:
    """Its whole URL is a path of the site."""
    failed = ask(shop, get("/old"))
    assert (failed.ok, failed.status) == (False, 302)
    assert "step 1, GET /old: status 302 to http://shop.example/new?x=1, expected 200" in failed.reason
    assert len(Shop.asked) == 1
    assert ask(shop, get("/old", capture("to", CaptureKind.HEADER, "Location"), statuses=(302,)), get("{to}")).ok
    assert Shop.asked[-1][1] == "/new?x=1"


def test_a_captured_token_stays_one_value_of_a_form_and_of_a_json(shop: TcpAddress) -> None:
    """Escaped as the body's kind needs, whatever is in it."""
    token = capture("token", CaptureKind.BODY, "value='(.*)'")
    made = Expectation(statuses=(201,))
    form = JourneyStep(method="POST", path="/f", body="t={token}&n=1", body_kind=BodyKind.FORM, expect=made)
    data = JourneyStep(method="POST", path="/j", body='{"t": "{token}"}', body_kind=BodyKind.JSON, expect=made)
    assert ask(shop, get("/login", token), form, data).ok
    assert parse_qs(Shop.asked[1][3]) == {"t": [TOKEN], "n": ["1"]}
    assert Shop.asked[2][3] == '{"t": "a+b=&\\"c"}'


def test_every_run_has_a_marker_of_its_own(shop: TcpAddress) -> None:
    """The same in all steps of one run."""
    for _ in range(2):
        assert ask(shop, get("/{run}"), get("/{run}", body_contains=("this is /{run}",))).ok
    first, again, second, _ = (path for _, path, _, _ in Shop.asked)
    assert first == again != second
    assert re.fullmatch(r"/celadon[0-9a-f]{12}", first)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (get("/cart", body_contains=("coffee",)), "the body does not contain 'coffee'"),
        (get("/cart", json={"cart.id": 8}), "cart.id is 7, expected 8"),
        (get("/cart", json={"cart.paid": 1}), "cart.paid is True, expected 1"),
        (get("/cart", json={"cart.nothing": 1}), "no JSON value at cart.nothing, expected 1"),
        (get("/plain", json={"a": 1}), "the body is no JSON"),
        (get("/deep", json={"a": 1}), "the body is no JSON"),
        (get("/cart", headers={"X-Frame": "deny"}), "no header X-Frame, expected one with 'deny'"),
        (get("/cart", headers={"Content-Length": "9999"}), "header Content-Length is"),
        (get("/slow", max_latency_s=0.05), "expected at most 50 ms"),
        (get("/large"), "the body is larger than 1 MiB"),
        (get("/cart", capture("x", CaptureKind.JSON, "no.such")), "nothing to capture as x"),
        (get("/cart", capture("x", CaptureKind.HEADER, "X-No")), "the answer has no header X-No"),
        (get("/cart", capture("x", CaptureKind.BODY, "coffee")), "the body does not match 'coffee'"),
    ],
)
def test_the_step_that_failed_is_named_with_what_was_expected(shop: TcpAddress, step: JourneyStep, reason: str) -> None:
    """And the steps after it are not asked."""
    answer = ask(shop, get("/"), step, get("/never"))
    assert not answer.ok
    assert answer.reason.startswith(f"step 2, GET {step.path}: ")
    assert reason in answer.reason
    assert len(Shop.asked) == 2


def test_everything_expected_together_passes(shop: TcpAddress) -> None:
    """JSON paths, text, headers and latency."""
    step = get(
        "/cart",
        json={"cart.id": 7, "cart.paid": True, "cart.items.0.name": "tea"},
        body_contains=("tea",),
        headers={"Server": "BaseHTTP"},
        max_latency_s=5.0,
    )
    assert ask(shop, step).reason == ""


def test_an_app_that_hangs_ends_with_the_journeys_timeout(shop: TcpAddress) -> None:
    """All steps together."""
    began_s = time.monotonic()
    answer = ask(shop, get("/slow"), get("/hang"), timeout_s=0.4)
    assert time.monotonic() - began_s < 1.2
    assert answer.reason.startswith("step 2, GET /hang: no answer within")


def test_nothing_that_listens_is_a_no() -> None:
    """Not an exception."""
    answer = ask(TcpAddress(port=1), get("/"))
    assert "step 1, GET /: no answer" in answer.reason


def test_a_slot_on_a_unix_socket_is_asked_too(tmp_path: Path) -> None:
    """As one on a port."""
    with ThreadingUnixStreamServer(str(tmp_path / "app.sock"), Shop) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert ask(SocketAddress(str(tmp_path / "app.sock")), get("/cart", json={"cart.id": 7})).ok
        server.shutdown()


def make_certificate(base: Path) -> Path:
    """Trusted by nobody."""
    path = base / "site.pem"
    kind = ["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=elsewhere"]
    out = ["-keyout", str(path), "-out", str(path)]
    subprocess.run(["openssl", "req", "-x509", *kind, *out], check=True, capture_output=True)
    return path


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_through_the_proxy_the_site_is_asked_where_it_listens_and_each_request_is_marked_as_ours(
    shop: TcpAddress, tmp_path: Path, scheme: str
) -> None:
    """By the site's name, in TLS too; what its certificate says is nothing that a release could change. The scheme is
    the proxy's to tell."""
    asked_names: list[str | None] = []
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(make_certificate(tmp_path))
        context.sni_callback = lambda _socket, name, _context: asked_names.append(name)
    marks = iter(["mark1", "mark2"])
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as proxy:
        if scheme == "https":
            proxy.socket = context.wrap_socket(proxy.socket, server_side=True)
        threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
        journeys = HttpJourneys(
            site=f"{scheme}://shop.example",
            listen=f"127.0.0.1:{proxy.server_address[1]}",
            new_look=lambda: {"X-Celadon-Look": next(marks)},
        )
        place = Place(slot=Slot.GREEN, address=shop, release=make_release(2), through_proxy=True)
        answer = journeys.ask(Journey(name="buy", steps=(get("/"), get("/cart"))), place)
        proxy.shutdown()
    assert answer.reason == ""
    assert [headers.get("X-Celadon-Look") for headers in Shop.headers_seen] == ["mark1", "mark2"]
    assert {headers["Host"] for headers in Shop.headers_seen} == {"shop.example"}
    assert all("X-Forwarded-Proto" not in headers for headers in Shop.headers_seen)
    assert asked_names == (["shop.example"] * 2 if scheme == "https" else [])


def test_a_slot_is_asked_as_the_proxy_would_and_never_told_of_our_mark(shop: TcpAddress) -> None:
    """Host and scheme of the site."""
    assert ask(shop, get("/")).ok
    [headers] = Shop.headers_seen
    assert (headers["Host"], headers["X-Forwarded-Proto"]) == ("shop.example", "http")
    assert "X-Celadon-Look" not in headers


def test_a_proxy_that_takes_no_connection_is_told_from_one_that_answers(shop: TcpAddress) -> None:
    """The first says nothing about the release."""
    journeys = HttpJourneys(site="http://shop.example", listen="127.0.0.1:1", new_look=dict)
    place = Place(slot=Slot.GREEN, address=shop, release=make_release(2), through_proxy=True)
    answer = journeys.ask(Journey(name="buy", steps=(get("/"),)), place)
    assert (answer.ok, answer.refused) == (False, True)
    assert not ask(shop, get("/", statuses=(500,))).refused


def test_a_pattern_that_takes_forever_holds_up_nobody(shop: TcpAddress) -> None:
    """Neither the run, nor what goes on beside it."""
    step = get("/forest", capture("x", CaptureKind.BODY, "(a+)+$"))
    answers: list[Answer] = []
    running = threading.Thread(target=lambda: answers.append(ask(shop, step, get("/"))))
    began_s = time.monotonic()
    running.start()
    longest_s, before_s = 0.0, began_s
    while running.is_alive():
        time.sleep(0.005)
        longest_s, before_s = max(longest_s, time.monotonic() - before_s), time.monotonic()
    assert time.monotonic() - began_s < 3.0
    assert longest_s < 0.5
    assert "step 1, GET /forest: nothing to capture as x: looking for '(a+)+$' in the body was not over" in (
        answers[0].reason
    )


def test_a_search_is_over_with_the_journeys_own_time(shop: TcpAddress) -> None:
    """All steps together."""
    began_s = time.monotonic()
    assert not ask(shop, get("/forest", capture("x", CaptureKind.BODY, "(a+)+$")), timeout_s=0.3).ok
    assert time.monotonic() - began_s < 0.9


def test_what_is_no_ascii_is_found_as_it_is(shop: TcpAddress) -> None:
    """Whatever locale we run in."""
    letter = capture("x", CaptureKind.BODY, "! (ü)")
    assert ask(shop, get("/forest", letter), get("/{x}", body_contains=("this is /%C3%BC",))).ok
