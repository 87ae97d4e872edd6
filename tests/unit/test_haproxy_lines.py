"""HAProxy's log lines, and what a visitor can write into one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celadon.drivers.traffic.haproxy_lines import HaproxyLineParser
from celadon.drivers.traffic.tailed import Passed
from celadon.model.names import Slot
from celadon.model.observed import PREVIEWED

PARSER = HaproxyLineParser({"shop.blue": (Slot.BLUE, False), "shop.blue.aside": (Slot.BLUE, True)})
BEGIN = "203.0.113.9:56872 [25/Nov/2026:02:25:55.002] web~ app/shop.blue 0/0/1/40/42"
LINE = f'{BEGIN} 200 118 - - ---- 1/1/0/0/0 0/0 "GET /cart?id=7 HTTP/1.1"'


@pytest.mark.parametrize(
    "head",
    [
        "",
        "<134>",
        "<134>Nov 25 02:17:13 haproxy[321]: ",
        "Nov 25 02:17:13 web-1 haproxy[321]: ",
        "2026-11-25T02:17:13.123456+00:00 web-1 haproxy[321]: ",
    ],
)
@pytest.mark.parametrize("tail", ["", " 0/0000000000000000/0/0/0 shop.example/TLSv1.3/TLS_AES_256_GCM_SHA384"])
def test_a_line_is_read_with_and_without_a_syslogs_head(head: str, tail: str) -> None:
    """As rsyslog and journald write them; `option httpslog` only adds to the end."""
    hit = PARSER.parse(f"{head}{LINE}{tail}".encode())
    assert hit is not None
    assert (hit.slot, hit.status, hit.upstream_status, hit.look) == (Slot.BLUE, 200, 200, "")
    assert (hit.duration_ms, hit.client_key, hit.route) == (42.0, "203.0.113.9", "GET /cart")


def test_an_answer_that_the_slot_did_not_give_is_told_apart() -> None:
    """503 of HAProxy's own, and a visitor who went away."""
    refused = PARSER.parse(LINE.replace("0/0/1/40/42 200", "0/1000/-1/-1/2000 503").encode())
    left = PARSER.parse(LINE.replace("0/0/1/40/42 200", "0/0/1/-1/90 -1").encode())
    assert refused is not None
    assert left is not None
    assert (refused.status, refused.upstream_status, refused.failed) == (503, None, True)
    assert (left.status, left.upstream_status, left.failed) == (499, None, False)


def test_what_is_no_visitors_is_marked() -> None:
    """By the server that it went to."""
    hit = PARSER.parse(LINE.replace("shop.blue", "shop.blue.aside").encode())
    assert hit is not None
    assert hit.look == PREVIEWED


@given(path=st.text(st.characters(codec="latin-1", exclude_characters='" \n\r')), agent=st.binary(max_size=200))
def test_a_visitor_cannot_choose_slot_or_status(path: str, agent: bytes) -> None:
    """Whatever stands in the path or in a captured header, a whole forged line among it."""
    forged = b"{" + agent.replace(b"\n", b"") + LINE.replace("200", "500").encode() + b"}"
    line = f"{BEGIN} 200 118 - - ---- 1/1/0/0/0 0/0 ".encode() + forged + f' "GET /{path} HTTP/1.1"'.encode()
    hit = PARSER.parse(line)
    assert hit is not None
    assert (hit.slot, hit.status, hit.duration_ms) == (Slot.BLUE, 200, 42.0)
    other = PARSER.parse(line.replace(b"app/shop.blue 0", b"other/other 0", 1))
    assert other is None


def test_a_line_that_is_cut_within_what_we_need_is_counted() -> None:
    """Never silently fewer; a line of another site is none of ours."""
    assert PARSER.take(BEGIN.encode()) is Passed.UNREADABLE
    assert PARSER.take(f"<134>Nov 25 02:17:13 haproxy[321]: {BEGIN}".encode()) is Passed.UNREADABLE
    assert PARSER.take(BEGIN.replace("shop.blue", "other").encode()) is Passed.FOREIGN
    assert PARSER.take(b"Proxy web started.") is Passed.FOREIGN
    assert PARSER.parse(LINE[:-20].encode()) is not None


def test_a_captured_cookie_is_no_id() -> None:
    """HAProxy writes it as it was sent, and a format of before has none in that place."""
    uuid = "3f0c2a52-7d4f-4c39-9e57-0d9a4d1c2b11"
    forged = PARSER.parse(LINE.replace("118 - -", f"118 sid={uuid} x y ----").encode())
    assert forged is None or forged.request_id == ""
    named = PARSER.parse(LINE.replace("118 - -", f"118 {uuid} sid={uuid[::-1]} -").encode())
    assert named is not None
    assert named.request_id == uuid
