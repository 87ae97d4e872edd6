"""Traefik's access log, as Traefik 3.7 writes it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from celadon.drivers.traffic.traefik_lines import LOOKED, TraefikTraffic, parse_traefik_line
from celadon.model.names import AppName, Slot
from celadon.model.observed import PREVIEWED, Hit

SLOTS = {"127.0.0.1:9001": Slot.BLUE, "127.0.0.1:9002": Slot.GREEN}
COMMON = (
    '127.0.0.7 - - [25/Nov/2026:02:22:36 +0000] "GET /cart?x=1 HTTP/1.1" {status} 5 "-" "curl/8" 12 '
    '"{router}" "http://127.0.0.1:{port}" 15ms'
)


def make_json(**more: object) -> str:
    line = {
        "ClientHost": "127.0.0.7",
        "RequestMethod": "GET",
        "RequestPath": "/cart?x=1",
        "DownstreamStatus": 200,
        "OriginStatus": 200,
        "Duration": 15_000_000,
        "RouterName": "shop@file",
        "ServiceAddr": "127.0.0.1:9002",
        "ServiceName": "celadon-shop@file",
    }
    return json.dumps(line | more)


def read_all(path: Path, *lines: str) -> tuple[list[Hit], int]:
    path.touch()
    traffic = TraefikTraffic(path, app=AppName("shop"), slots=SLOTS)
    path.write_text("".join(f"{line}\n" for line in lines))
    hits = list(traffic.read())
    traffic.close()
    return hits, traffic.unreadable_count


def test_both_formats_tell_the_same(tmp_path: Path) -> None:
    """Slot, status, time, client and route; the common one does not tell what the slot itself answered."""
    hits, unreadable_count = read_all(
        tmp_path / "log", make_json(), COMMON.format(status=200, router="shop@file", port=9002)
    )
    assert unreadable_count == 0
    assert [(hit.slot, hit.status, hit.duration_ms, hit.client_key, hit.route, hit.look) for hit in hits] == [
        (Slot.GREEN, 200, 15.0, "127.0.0.7", "GET /cart", "")
    ] * 2
    assert [hit.upstream_status for hit in hits] == [200, None]


@pytest.mark.parametrize(
    ("router", "look"),
    [
        ("celadon-shop_look1@file", LOOKED),
        ("celadon-shop_preview2@file", PREVIEWED),
        ("shop@file", ""),
        ("celadon-shop-two_look1@file", ""),
    ],
)
def test_what_is_no_visit_is_told_by_its_router(tmp_path: Path, router: str, look: str) -> None:
    """Only who has a secret comes to ours."""
    lines = [make_json(RouterName=router), COMMON.format(status=200, router=router, port=9002)]
    hits, _ = read_all(tmp_path / "log", *lines)
    assert [hit.look for hit in hits] == [look, look]


def test_a_neighbours_requests_are_no_hits_and_no_faults(tmp_path: Path) -> None:
    """Traefik has one log for all sites."""
    lines = [
        make_json(ServiceAddr="127.0.0.1:4000", ServiceName="blog@file"),
        make_json(ServiceAddr="127.0.0.1:4000", ServiceName="celadon-shop-two@file"),
        COMMON.format(status=200, router="blog@file", port=4000),
        '127.0.0.7 - - [25/Nov/2026:02:22:36 +0000] "GET /x HTTP/1.1" 404 19 "-" "-" 3 "-" "-" 0ms',
    ]
    assert read_all(tmp_path / "log", *lines) == ([], 0)


def test_a_line_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    """And never guessed at."""
    assert read_all(tmp_path / "log", "nonsense", "{", '{"DownstreamStatus": "200"}') == ([], 3)


def test_a_visitor_cannot_forge_a_line(tmp_path: Path) -> None:
    """Traefik quotes what a client sends; the fields that count come after it."""
    forged = '"celadon-shop_look1@file\\" \\"http://127.0.0.1:9001\\" 1ms'
    line = (
        f'127.0.0.7 - a b [25/Nov/2026:02:22:36 +0000] "GET /a\\" 200 HTTP/1.1" 200 5 "{forged[1:]}" "{forged[1:]}" 12 '
        '"shop@file" "http://127.0.0.1:9002" 15ms'
    )
    hits, unreadable_count = read_all(tmp_path / "log", line)
    assert ([(hit.slot, hit.look) for hit in hits], unreadable_count) == ([(Slot.GREEN, "")], 0)


@given(some.binary(max_size=200))
def test_no_line_breaks_the_reading(line: bytes) -> None:
    """It is another program's."""
    parse_traefik_line(line)
    parse_traefik_line(b"{" + line)
