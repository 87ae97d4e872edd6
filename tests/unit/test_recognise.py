"""Reading the access logs that a site has already."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.drivers.traffic.recognise import COMBINED, recognise
from celadon.model.names import Slot
from celadon.model.observed import Hit

SLOTS = {"127.0.0.1:8000": Slot.BLUE, "127.0.0.1:8001": Slot.GREEN}
TIMED = COMBINED + " $request_time $upstream_addr $upstream_status"
JSON = (
    '{"t":"$time_iso8601","ip":"$remote_addr","code":$status,'
    '"req":"$request","took":$request_time,"up":"$upstream_addr"}'
)
FORGED = ['x" 500 0 "-" "-', '- [25/Nov/2026:02:00:00 +0000] "GET / HTTP/1.1" 500 0', "\n1.2.3.4 - -"]
ANY = st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), max_size=40)


def write(log_format: str, *, escape: str = "default", **sent: str) -> bytes:
    """As nginx does, with `sent` for what a client makes."""
    values = {
        "remote_addr": "203.0.113.7",
        "remote_user": "-",
        "time_local": "25/Nov/2026:02:00:00 +0000",
        "time_iso8601": "2026-11-25T02:00:00+00:00",
        "request": "GET /a?b=c HTTP/1.1",
        "status": "200",
        "body_bytes_sent": "12",
        "http_referer": "-",
        "http_user_agent": "curl",
        "request_time": "0.250",
        "upstream_addr": "127.0.0.1:8000, 127.0.0.1:8001",
        "upstream_status": "502, 200",
    } | {name: _escape(value, escape=escape) for name, value in sent.items()}
    for name in sorted(values, key=len, reverse=True):
        log_format = log_format.replace(f"${name}", values[name])
    return log_format.encode()


def _escape(text: str, *, escape: str) -> str:
    text = text.replace("$", "_")
    if escape == "json":
        return json.dumps(text, ensure_ascii=False)[1:-1]
    return "".join(f"\\x{ord(char):02X}" if char in '"\\' or char < " " or char == "\x7f" else char for char in text)


def parse(log_format: str, line: bytes, *, escape: str = "default") -> Hit | None:
    found = recognise(log_format, escape=escape, slots=SLOTS)
    assert found.parse is not None, found.why
    return found.parse(line)


def test_combined_tells_status_client_and_route() -> None:
    """But neither slot nor duration, and says so."""
    found = recognise(COMBINED, slots=SLOTS)
    assert (found.tells_slot, found.tells_duration, found.why) == (False, False, "")
    assert parse(COMBINED, write(COMBINED)) == Hit(
        slot=None, status=200, upstream_status=None, duration_ms=0.0, client_key="203.0.113.7", route="GET /a"
    )


@pytest.mark.parametrize(("log_format", "escape"), [(TIMED, "default"), (JSON, "json")])
def test_an_upstream_address_tells_the_slot(log_format: str, escape: str) -> None:
    """Of several tries the last, whose answer the client got."""
    found = recognise(log_format, escape=escape, slots=SLOTS)
    assert (found.tells_slot, found.tells_duration) == (True, True)
    hit = parse(log_format, write(log_format, escape=escape), escape=escape)
    assert hit is not None
    assert (hit.slot, hit.status, hit.duration_ms, hit.route) == (Slot.GREEN, 200, 250.0, "GET /a")


@given(user=ANY, agent=ANY, referer=ANY, path=ANY)
def test_nothing_that_a_client_sends_changes_what_is_counted(user: str, agent: str, referer: str, path: str) -> None:
    """Forged lines, quotes, brackets: one line stays one request of one status by one slot."""
    sent = {"remote_user": user, "http_user_agent": agent, "http_referer": referer, "request": f"GET {path} HTTP/1.1"}
    for log_format, escape in ((TIMED, "default"), (JSON, "json")):
        hit = parse(log_format, write(log_format, escape=escape, **sent), escape=escape)
        assert hit is not None
        assert (hit.status, hit.client_key, hit.slot) == (200, "203.0.113.7", Slot.GREEN)


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_user_is_not_believed(forged: str) -> None:
    """It stands without quotes in the combined format."""
    hit = parse(COMBINED, write(COMBINED, remote_user=forged, http_user_agent=forged))
    assert hit is not None
    assert (hit.status, hit.client_key) == (200, "203.0.113.7")


@pytest.mark.parametrize(
    ("log_format", "escape", "why"),
    [
        ("$remote_addr $request", "default", "$status"),
        ('$status "$request"', "default", "$remote_addr"),
        ("$remote_addr $status", "default", "$request"),
        ('$remote_addr "$request" $http_user_agent $status', "default", "$http_user_agent"),
        (COMBINED, "none", "escape=none"),
        (JSON, "default", "escape=json"),
        ('{"a":"$remote_addr" "$status $request"}', "json", "not JSON"),
    ],
)
def test_what_cannot_be_read_says_why(log_format: str, escape: str, why: str) -> None:
    """Better no baseline than a wrong one."""
    found = recognise(log_format, escape=escape, slots=SLOTS)
    assert found.parse is None
    assert why in found.why


def test_a_line_of_another_format_is_unreadable() -> None:
    """Counted, never guessed at."""
    assert parse(TIMED, write(COMBINED)) is None
    assert parse(JSON, b'{"status":"200"}', escape="json") is None
    assert parse(COMBINED, b"\xff\x00") is None


@pytest.mark.parametrize(
    ("more", "sent", "named"),
    [
        (' "$http_x_request_id" $request_id', "the client's", "0f" * 16),
        (' $request_id "$http_x_request_id"', "the client's", "0f" * 16),
        (' "$http_x_request_id"', "the client's", "the client's"),
        (' "$http_x_request_id"', "-", ""),
        (' "$http_x_request_id"', "x" * 5000, "x" * 128),
        ("", "the client's", ""),
    ],
)
def test_a_requests_own_id_is_told_before_the_clients(more: str, sent: str, named: str) -> None:
    """The one that came with a request only where nginx writes none of its own."""
    log_format = TIMED + more
    hit = parse(log_format, write(log_format, http_x_request_id=sent, request_id="0f" * 16))
    assert hit is not None
    assert hit.request_id == named


def test_an_id_in_json_is_read_too() -> None:
    """A client's quotes end no field."""
    log_format = JSON.replace('"up"', '"id":"$http_x_request_id","up"')
    hit = parse(log_format, write(log_format, escape="json", http_x_request_id='x","code":500,"'), escape="json")
    assert hit is not None
    assert (hit.status, hit.request_id) == (200, 'x","code":500,"')
