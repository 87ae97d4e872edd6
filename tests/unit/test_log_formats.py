"""What holds of every format of access log: whatever visitors send, and however the bytes arrive."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from celadon.contracts.traffic import Traffic
from celadon.drivers.traffic import haproxy_lines
from celadon.drivers.traffic.caddy_lines import make_hit_parser
from celadon.drivers.traffic.haproxy_lines import HaproxyLineParser
from celadon.drivers.traffic.haproxy_log import FileTraffic
from celadon.drivers.traffic.json_lines import JsonLinesTraffic
from celadon.drivers.traffic.recognise import COMBINED, recognise
from celadon.drivers.traffic.traefik_lines import TraefikTraffic
from celadon.model.names import AppName, Slot
from celadon.model.observed import Hit

SLOTS = {"127.0.0.1:8000": Slot.BLUE, "127.0.0.1:8001": Slot.GREEN}
ADDRESSES = {slot: address for address, slot in SLOTS.items()}
TIMED = COMBINED + " $request_time $upstream_addr $upstream_status"


@dataclass(frozen=True, kw_only=True)
class Request:
    """`path` and `agent` are bytes that a visitor has sent."""

    path: bytes = b"/cart"
    agent: bytes = b"curl/8"
    status: int = 200
    slot: Slot = Slot.BLUE


def write_nginx(request: Request) -> bytes:
    """`escape=json`: quotes and control characters; bytes above 127 pass as they came."""
    uri = b"".join(
        b"\\" + bytes([byte]) if byte in b'"\\' else b"\\u%04X" % byte if byte < 32 else bytes([byte])
        for byte in request.path
    )
    return (
        b'{"slot":"%s","status":"%d","upstream_status":"%d","request_time":"0.042","client":"203.0.113.9",'
        b'"method":"GET","uri":"%s","look":"","pid":"42","upstream":"127.0.0.1:8000","config":"abc"}'
        % (request.slot.value.encode(), request.status, request.status, uri)
    )


def write_combined(request: Request) -> bytes:
    """`escape=default`."""
    path, agent = (
        b"".join(b"\\x%02X" % byte if byte in b'"\\' or not 32 <= byte < 127 else bytes([byte]) for byte in text)
        for text in (request.path, request.agent)
    )
    return b'203.0.113.9 - %s [25/Nov/2026:02:25:55 +0000] "GET %s HTTP/1.1" %d 5120 "%s" "%s" 0.042 %s %d' % (
        agent,
        path,
        request.status,
        agent,
        agent,
        ADDRESSES[request.slot].encode(),
        request.status,
    )


def write_caddy(request: Request) -> bytes:
    """Go's JSON, whose strings are UTF-8."""
    path, agent = (text.decode(errors="replace") for text in (request.path, request.agent))
    line = {
        "request": {
            "remote_ip": "203.0.113.9",
            "method": "GET",
            "uri": path,
            "headers": {"User-Agent": [agent], agent.title(): [agent]},
        },
        "duration": 0.042,
        "status": request.status,
        "celadon_upstream": ADDRESSES[request.slot],
    }
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()


def write_haproxy(request: Request) -> bytes:
    """What a visitor sent stands in the path and in a captured header, its hostile bytes as `#22`."""
    path, agent = (
        b"".join(b"#%02X" % byte if byte in b'"#{|}' or not 32 < byte < 127 else bytes([byte]) for byte in text)
        for text in (request.path, request.agent)
    )
    captured = b"{%s} " % agent if request.agent != Request.agent else b""
    return (
        b"<134>Nov 25 02:17:13 haproxy[321]: 203.0.113.9:56872 [25/Nov/2026:02:25:55.002] web~ app/shop.%s "
        b'0/0/1/40/42 %d 118 - - ---- 1/1/0/0/0 0/0 %s"GET %s HTTP/1.1"'
        % (request.slot.value.encode(), request.status, captured, path)
    )


def write_traefik(request: Request) -> bytes:
    path = request.path.decode(errors="replace")
    line = {
        "ClientHost": "203.0.113.9",
        "DownstreamStatus": request.status,
        "Duration": 42_000_000,
        "OriginStatus": request.status,
        "RequestMethod": "GET",
        "RequestPath": path,
        "RouterName": "celadon-shop@file",
        "ServiceAddr": ADDRESSES[request.slot],
        "request_User-Agent": request.agent.decode(errors="replace"),
    }
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()


def write_traefik_common(request: Request) -> bytes:
    """Go's %q of what a visitor sent, but for the path."""
    path = request.path.decode(errors="replace").encode("unicode_escape").replace(b'"', b"%22")
    agent = json.dumps(request.agent.decode(errors="replace")).encode()
    return (
        b'203.0.113.9 - - [25/Nov/2026:02:22:36 +0000] "GET %s HTTP/1.1" %d 5 "-" %s 12 "x@file" "http://%s" 42ms'
        % (
            path,
            request.status,
            agent,
            ADDRESSES[request.slot].encode(),
        )
    )


def open_combined(path: Path) -> Traffic:
    parse = recognise(TIMED, slots=SLOTS).parse
    assert parse is not None
    return JsonLinesTraffic(path, mark="", parse=parse)


SERVERS = {f"shop.{slot}": (slot, False) for slot in Slot}


@dataclass(frozen=True)
class Format:
    write: Callable[[Request], bytes]
    open: Callable[[Path], Traffic]


FORMATS = {
    "nginx": Format(write_nginx, lambda path: JsonLinesTraffic(path, mark="secret")),
    "combined": Format(write_combined, open_combined),
    "caddy": Format(write_caddy, lambda path: JsonLinesTraffic(path, mark="secret", parse=make_hit_parser(SLOTS))),
    "haproxy": Format(write_haproxy, lambda path: FileTraffic(path, parser=HaproxyLineParser(SERVERS))),
    "traefik": Format(write_traefik, lambda path: TraefikTraffic(path, app=AppName("shop"), slots=SLOTS)),
    "traefik common": Format(write_traefik_common, lambda path: TraefikTraffic(path, app=AppName("shop"), slots=SLOTS)),
}
EVERY_FORMAT = pytest.mark.parametrize("log", FORMATS.values(), ids=FORMATS)


def read_pieces(log: Format, path: Path, pieces: Sequence[bytes]) -> tuple[list[Hit], int]:
    """What a reader gives that reads after each piece, and how much of it was unreadable."""
    path.write_bytes(b"")
    traffic = log.open(path)
    hits: list[Hit] = []
    with path.open("ab", buffering=0) as stream:
        for piece in pieces:
            stream.write(piece)
            hits += traffic.read()
    while rest := traffic.read():
        hits += rest
    traffic.close()
    return hits, traffic.unreadable_count


def is_blues(hit: Hit) -> bool:
    """Nothing but its route may be a visitor's choice."""
    return (hit.slot, hit.status, hit.duration_ms, hit.client_key, hit.look) == (
        Slot.BLUE,
        200,
        42.0,
        "203.0.113.9",
        "",
    )


@EVERY_FORMAT
def test_a_line_tells_slot_status_time_client_and_route(log: Format, tmp_path: Path) -> None:
    """And of a request only its path."""
    [hit], unreadable_count = read_pieces(log, tmp_path / "log", [log.write(Request(path=b"/cart?id=7")) + b"\n"])
    assert is_blues(hit)
    assert (hit.route.partition("?")[0], unreadable_count) == ("GET /cart", 0)


@EVERY_FORMAT
@pytest.mark.parametrize("ending", [b"", b"\n", b"\\", b'"', b'"}\n{"', b"\x00", b"\xff\xfe", b"\r\n"])
def test_a_whole_line_in_a_path_or_a_user_agent_is_no_line(log: Format, tmp_path: Path, ending: bytes) -> None:
    """As another slot's failure, raw and as its own proxy would have written it."""
    forged = log.write(Request(status=500, slot=Slot.GREEN))
    sent = forged + ending + forged + b"\n" + forged + ending
    lines = [
        log.write(Request(path=b"/" + sent)),
        log.write(Request(agent=sent)),
        log.write(Request(path=sent, agent=sent)),
    ]
    hits, unreadable_count = read_pieces(log, tmp_path / "log", [b"\n".join([*lines, b""])])
    assert [is_blues(hit) for hit in hits] == [True] * 3
    assert unreadable_count == 0


@EVERY_FORMAT
@settings(max_examples=60)
@given(path=some.binary(max_size=80), agent=some.binary(max_size=80))
def test_nothing_that_a_visitor_sends_changes_what_counts(
    log: Format, tmp_path_factory: pytest.TempPathFactory, path: bytes, agent: bytes
) -> None:
    """Any bytes at all."""
    line = log.write(Request(path=b"/" + path, agent=agent))
    hits, _ = read_pieces(log, tmp_path_factory.getbasetemp() / "any.log", [line + b"\n"])
    assert [is_blues(hit) for hit in hits] == [True]


@EVERY_FORMAT
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda line: line[: len(line) // 3], id="cut short"),
        pytest.param(lambda line: b"\0" * 5000 + line[:50], id="NUL bytes"),
        pytest.param(lambda line: line[:40] + b"\xff\xfe\x00\x80" + line[45:60], id="no UTF-8"),
        pytest.param(lambda line: line[:40] + b"x" * 300_000 + line[40:], id="longer than any line"),
        pytest.param(lambda line: line[:30] + line, id="two that ran together"),
        pytest.param(lambda line: line.replace(b"42", b"9" * 9000), id="endless numbers"),
    ],
)
def test_a_damaged_line_costs_itself_only(log: Format, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Its neighbours are read, once each, whatever is made of it."""
    before, after = (log.write(Request(path=path)) + b"\n" for path in (b"/before", b"/after"))
    hits, unreadable_count = read_pieces(log, tmp_path / "log", [before + damage(before[:-1]) + b"\n" + after])
    assert [hit.route for hit in (hits[0], hits[-1])] == ["GET /before", "GET /after"]
    assert [is_blues(hit) for hit in (hits[0], hits[-1])] == [True] * 2
    assert {hit.status for hit in hits} == {200}
    assert len(hits) + unreadable_count <= 3


@EVERY_FORMAT
@pytest.mark.parametrize("unit", [b' [x] "A ', b' HTTP/1" 200 5 "', b"[1]: ", b"\\", b" [25/Nov/2026:02:25:55 +0000] "])
def test_no_line_takes_long(log: Format, tmp_path: Path, unit: bytes) -> None:
    """Sixty thousand bytes of what a pattern would begin anew at: it takes some milliseconds."""
    line = log.write(Request())
    begun_at_s = time.process_time()
    read_pieces(log, tmp_path / "log", [line[:60] + unit * (60_000 // len(unit)) + b"\n"])
    assert time.process_time() - begun_at_s < 0.5


@EVERY_FORMAT
@settings(max_examples=15)
@given(data=some.data())
def test_how_the_bytes_arrive_changes_nothing(
    log: Format, tmp_path_factory: pytest.TempPathFactory, data: some.DataObject
) -> None:
    """Cut anywhere, within a line and within a character too."""
    requests = [Request(path=b"/\xc3\xa9%d" % number, status=200 + number) for number in range(20)]
    text = b"".join(log.write(request) + b"\n" for request in requests) + b"no line\n"
    cuts = sorted(data.draw(some.lists(some.integers(0, len(text)), max_size=12)))
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    path = tmp_path_factory.getbasetemp() / "chunks.log"
    assert read_pieces(log, path, pieces) == read_pieces(log, path, [text])


PLAIN = write_haproxy(Request())
HOSTILE = write_haproxy(Request(path=b'/"GET /x', agent=PLAIN))
SPLICES = some.one_of(
    some.sampled_from(
        [b" ", b'"', b"{", b"}", b"/", b"[", b"]: ", b"-1", b"+", b"\t", b"\xff", b'"GET /forged', PLAIN[30:]]
    ),
    some.binary(max_size=6),
)


@settings(max_examples=400)
@given(
    line=some.sampled_from([PLAIN, HOSTILE, PLAIN[35:], PLAIN[5:], PLAIN.replace(b'"GET', b'"<BADREQ>')]),
    at=some.integers(0, 200),
    drop=some.integers(0, 30),
    splice=SPLICES,
)
def test_the_short_way_reads_nothing_that_the_careful_one_reads_otherwise(
    line: bytes, at: int, drop: int, splice: bytes
) -> None:
    """HAProxy's usual line has a pattern of its own, for speed; whatever it takes must be the same to both."""
    line = line[:at] + splice + line[at + drop :]
    usual = haproxy_lines._USUAL.match(line)
    if usual is not None:
        assert [*usual.groups()] == haproxy_lines._split_carefully(line)
