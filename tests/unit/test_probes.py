"""Probes against small real servers: what is a yes, and what a no says."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from celadon.contracts.probe import Probe
from celadon.drivers.probes.table import make_probe
from celadon.drivers.probes.tcp import TcpProbe
from celadon.model.address import Address, SocketAddress, TcpAddress
from celadon.model.settings import ProbeKind, ReadinessSettings
from tests.fakes.world import make_settings

Serve = Callable[..., Address]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A server that sends each connection `answer`, and keeps what it was asked in `asked`."""
    listeners: list[socket.socket] = []

    def start(answer: bytes, *, asked: list[str] | None = None, unix: bool = False, trickle_s: float = 0.0) -> Address:
        if unix:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(tmp_path / "app.sock"))
            listener.listen()
            address: Address = SocketAddress(str(tmp_path / "app.sock"))
        else:
            listener = socket.create_server(("127.0.0.1", 0))
            address = TcpAddress(port=listener.getsockname()[1])
        listeners.append(listener)
        threading.Thread(target=answer_all, args=(listener, answer, asked, trickle_s), daemon=True).start()
        return address

    yield start
    for listener in listeners:
        listener.close()


def answer_all(listener: socket.socket, answer: bytes, asked: list[str] | None, trickle_s: float) -> None:
    while True:
        try:
            connection, _ = listener.accept()
            with connection:
                request = connection.recv(65536).decode()
                if asked is not None:
                    asked.append(request)
                pieces = [answer[index : index + 1] for index in range(len(answer))] if trickle_s else [answer]
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(trickle_s)
        except OSError:
            if listener.fileno() < 0:
                return


def http(status: str, body: str = "ok", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode()


def probe(**readiness: object) -> Probe:
    settings = make_settings()
    settings = replace(
        settings,
        proxy=replace(settings.proxy, site="https://shop.example"),
        readiness=ReadinessSettings(path="/health", **readiness),  # type: ignore[arg-type]
    )
    return make_probe(settings, env=lambda: {"GREETING": "hello"})


def test_the_question_is_the_one_the_site_would_ask(serve: Serve) -> None:
    """Host and X-Forwarded-Proto of the public URL; no keep-alive."""
    asked: list[str] = []
    answer = probe().ask(serve(http("200 OK"), asked=asked), timeout_s=5)
    assert (answer.ok, answer.status, answer.head) == (True, 200, "ok")
    assert asked[0].startswith("GET /health HTTP/1.1\r\n")
    assert "Host: shop.example\r\n" in asked[0]
    assert "X-Forwarded-Proto: https\r\n" in asked[0]


def test_headers_of_the_configuration_win(serve: Serve) -> None:
    """Once each, whatever their case."""
    asked: list[str] = []
    probe(headers={"host": "inner", "X-Token": "t"}).ask(serve(http("200 OK"), asked=asked), timeout_s=5)
    assert "shop.example" not in asked[0]
    assert "host: inner\r\n" in asked[0]
    assert "X-Token: t\r\n" in asked[0]


def test_a_redirect_is_not_followed_but_named(serve: Serve) -> None:
    """It is what an app does that wants https, or another host."""
    answer = probe().ask(serve(http("301 Moved", headers="Location: https://shop.example/health\r\n")), timeout_s=5)
    assert answer.ok is False
    assert answer.reason == "status 301 to https://shop.example/health, expected 200"
    assert "redirects" in answer.hint


def test_a_refused_host_header_is_guessed(serve: Serve) -> None:
    """Django answers 400 to a Host it does not know."""
    answer = probe().ask(serve(http("400 Bad Request")), timeout_s=5)
    assert "Host header 'shop.example'" in answer.hint


@pytest.mark.parametrize(
    ("wanted", "body", "ok"),
    [
        ({"body_contains": "fine"}, "all fine", True),
        ({"body_contains": "fine"}, "bad", False),
        ({"json_path": "db.up", "json_equals": True}, '{"db": {"up": true}}', True),
        ({"json_path": "db.up", "json_equals": True}, '{"db": {"up": false}}', False),
        ({"json_path": "checks.1", "json_equals": "ok"}, '{"checks": ["no", "ok"]}', True),
        ({"json_path": "db.up", "json_equals": True}, "<html>", False),
        ({"json_path": "db.up", "json_equals": True}, "[]", False),
        ({"statuses": (200, 204)}, "", True),
    ],
)
def test_the_body_is_judged(serve: Serve, wanted: dict[str, object], body: str, *, ok: bool) -> None:
    """Contents and JSON values, each no with its reason."""
    answer = probe(**wanted).ask(serve(http("200 OK", body)), timeout_s=5)
    assert answer.ok is ok
    assert bool(answer.reason) is not ok


def test_an_app_that_trickles_cannot_hold_the_probe(serve: Serve) -> None:
    """One deadline for everything, not one a read."""
    began = time.monotonic()
    answer = probe().ask(serve(http("200 OK", "x" * 500), trickle_s=0.05), timeout_s=0.4)
    assert answer.ok is False
    assert answer.reason == "no answer within 0.4 s"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("raw", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort"])
def test_a_broken_answer_is_a_no(serve: Serve, raw: bytes) -> None:
    """Closed, no HTTP, cut short."""
    answer = probe(body_contains="whole").ask(serve(raw), timeout_s=5)
    assert answer.ok is False
    assert answer.reason


def test_nobody_there_is_told_apart() -> None:
    """Nothing listens; no such socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert probe().ask(TcpAddress(port=port), timeout_s=2).reason == f"nothing listens on 127.0.0.1:{port}"
    assert "no socket at" in probe().ask(SocketAddress("/nowhere/app.sock"), timeout_s=2).reason
    for address in (TcpAddress(port=port), SocketAddress("/nowhere/app.sock")):
        assert probe().ask(address, timeout_s=2).refused
        assert TcpProbe().ask(address, timeout_s=2).refused


def test_unix_sockets_are_asked_too(serve: Serve) -> None:
    """The same question."""
    assert probe().ask(serve(http("200 OK"), unix=True), timeout_s=5).ok


def test_control_characters_do_not_reach_the_terminal(serve: Serve) -> None:
    """An app's error page is shown as text."""
    answer = probe().ask(serve(http("500 Oops", "\x1b[2Jgone")), timeout_s=5)
    assert answer.head == "[2Jgone"


def test_tcp_asks_for_a_connection_only(serve: Serve) -> None:
    """The weakest question there is."""
    assert probe(kind=ProbeKind.TCP).ask(serve(b""), timeout_s=5).ok
    assert not probe(kind=ProbeKind.TCP).ask(SocketAddress("/nowhere"), timeout_s=5).ok


def test_a_command_answers_by_its_exit_code() -> None:
    """In the candidate's environment, with the address."""
    address = TcpAddress(port=8101)
    check = f'{sys.executable} -c \'import os; assert os.environ["GREETING"] == "hello"\' && echo $CELADON_ADDRESS'
    answer = probe(kind=ProbeKind.COMMAND, command=check).ask(address, timeout_s=20)
    assert (answer.ok, answer.head) == (True, "127.0.0.1:8101")
    failing = probe(kind=ProbeKind.COMMAND, command="echo no; exit 7").ask(address, timeout_s=20)
    assert failing.reason == "exit code 7: no"
    slow = probe(kind=ProbeKind.COMMAND, command="sleep 60").ask(address, timeout_s=0.2)
    assert "exit code 124" in slow.reason
