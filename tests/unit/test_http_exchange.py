"""One HTTP answer, as apps and proxies send it and as they should not."""

import contextlib
import socket
import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.host.http_exchange import BrokenReplyError, Reply, exchange


def read(*parts: bytes, limit: int = 1 << 20, bodiless: bool = False, within_s: float = 5.0) -> Reply:
    """What is made of an answer that comes in `parts` and is then closed."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        with theirs, contextlib.suppress(BrokenPipeError):  # whoever has read enough closes
            theirs.recv(65536)
            for part in parts:
                theirs.sendall(part)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    with ours:
        try:
            return exchange(
                ours,
                b"GET / HTTP/1.1\r\n\r\n",
                until_s=time.monotonic() + within_s,
                body_limit_bytes=limit,
                bodiless=bodiless,
            )
        finally:
            ours.close()
            sender.join()


def chunked(body: bytes, sizes: Sequence[int]) -> bytes:
    out, rest = b"", body
    for size in sizes:
        part, rest = rest[:size], rest[size:]
        out += b"%x;note=1\r\n%s\r\n" % (len(part), part) if part else b""
    out += b"%X\r\n%s\r\n" % (len(rest), rest) if rest else b""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + out + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", 200, b"ok"),
        (b"HTTP/1.0 200\n\nto the end", 200, b"to the end"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, b""),
        (chunked(b"hello", [2]), 200, b"hello"),
    ],
)
def test_an_answer_is_read_as_it_says_that_it_is_framed(answer: bytes, status: int, body: bytes) -> None:
    """By length, by chunks, by its close; hints before it are not it."""
    reply = read(answer)
    assert (reply.status, reply.body) == (status, body)


def test_headers_are_known_by_lower_case_names() -> None:
    """As servers send them."""
    assert read(b"HTTP/1.1 301 Moved\r\nLOCATION:  /x \r\nContent-Length: 0\r\n\r\n").headers["location"] == "/x"


def test_the_answer_to_a_head_has_no_body_whatever_its_length_says() -> None:
    """And nothing is waited for."""
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", bodiless=True).body == b""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "closed without an answer"),
        (b"SSH-2.0-x\r\n", "not HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "ends in its head"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "after 5 of 9 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "length is '-1'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk's length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", "longer than it says"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "after 2 of 5 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000 + b"\r\n", "larger than 64 KiB"),
        (b"x" * 200_000, "not HTTP"),
    ],
)
def test_a_broken_answer_says_what_is_broken(answer: bytes, reason: str) -> None:
    """One error, an OSError."""
    with pytest.raises(BrokenReplyError, match=reason):
        read(answer)


def test_a_body_without_end_is_read_to_the_limit() -> None:
    """In each framing."""
    for head in (b"Content-Length: 999999", b"X: y"):
        assert read(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + b"a" * 2000, limit=1000).body == b"a" * 1000
    assert read(chunked(b"a" * 5000, [700] * 7), limit=1000).body == b"a" * 1000


@given(st.binary(max_size=300), st.lists(st.integers(1, 80), max_size=6), st.lists(st.integers(1, 40), max_size=20))
def test_how_an_answer_is_cut_into_pieces_changes_nothing(body: bytes, sizes: list[int], cuts: list[int]) -> None:
    """Chunks of any size, arriving in parts of any size."""
    answer, parts = chunked(body, sizes), []
    for cut in cuts:
        parts.append(answer[:cut])
        answer = answer[cut:]
    assert read(*parts, answer).body == body


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(answer: bytes) -> None:
    """A reply, or what is broken in it; never another error."""
    for head in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        with contextlib.suppress(BrokenReplyError):
            assert read(head + answer).status < 1000
