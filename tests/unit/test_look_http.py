"""The small request that a look is."""

import socket
import threading

import pytest

from celadon.host.look_http import LookTarget, ask_look, parse_look_target


def answer_once(answer: bytes, *, hold: bool = False) -> tuple[LookTarget, list[bytes]]:
    """A server for one request: where it is and what it got."""
    listener = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        with listener, listener.accept()[0] as stream:
            got.append(stream.recv(65536))
            stream.sendall(answer)
            if hold:
                stream.recv(1)

    threading.Thread(target=serve, daemon=True).start()
    address = listener.getsockname()
    return LookTarget(address=address, tls=False, host="shop.example", path="/x"), got


def test_it_asks_as_a_visitor_of_the_site() -> None:
    """The Host is the site's, whatever address it connects to."""
    target, got = answer_once(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert ask_look(target, headers={"X-Celadon-Look": "n"}, timeout_s=5) == 204
    assert got[0].startswith(b"GET /x HTTP/1.1\r\nHost: shop.example\r\n")
    assert b"X-Celadon-Look: n\r\n" in got[0]


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1\r\n\r\n", b"\0\0\0 999"])
def test_what_is_not_http_is_an_error(answer: bytes) -> None:
    """Never a status."""
    target, _ = answer_once(answer)
    with pytest.raises(OSError, match="answer"):
        ask_look(target, headers={}, timeout_s=5)


def test_an_answer_without_end_meets_the_deadline() -> None:
    """A look blocks no longer than it was told."""
    target, _ = answer_once(b"HTTP/1.1 200 OK\r\n\r\n", hold=True)
    with pytest.raises(TimeoutError):
        ask_look(target, headers={}, timeout_s=0.05)


@pytest.mark.parametrize(
    ("site", "listen", "expected"),
    [
        ("https://shop.example", "127.0.0.1:443", (("127.0.0.1", 443), True, "shop.example")),
        ("http://shop.example:8080/x", "[::1]:80", (("::1", 80), False, "shop.example:8080")),
    ],
)
def test_targets_are_read_from_the_settings(site: str, listen: str, expected: tuple[object, ...]) -> None:
    """Scheme decides TLS, the port of `listen` is where it goes."""
    target = parse_look_target(site=site, listen=listen, path="/")
    assert (target.address, target.tls, target.host) == expected


def test_a_site_that_is_no_url_is_refused() -> None:
    """ValueError, for the configuration to report."""
    with pytest.raises(ValueError, match="URL"):
        parse_look_target(site="shop.example", listen="127.0.0.1:80", path="/")
