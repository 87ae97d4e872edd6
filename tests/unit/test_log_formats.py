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
from celadon.drivers.traffic.caddy_lines import CaddyLineParser
from celadon.drivers.traffic.haproxy_lines import HaproxyLineParser
from celadon.drivers.traffic.haproxy_log import FileTraffic
from celadon.drivers.traffic.json_lines import JsonLinesTraffic
from celadon.drivers.traffic.recognise import COMBINED, recognise
from celadon.drivers.traffic.tailed import Passed, TailedTraffic
from celadon.drivers.traffic.traefik_lines import TraefikTraffic
from celadon.model.names import AppName, Slot
from celadon.model.observed import Hit

SLOTS = {"127.0.0.1:8000": Slot.BLUE, "127.0.0.1:8001": Slot.GREEN}
ADDRESSES = {slot: address for address, slot in SLOTS.items()}
TIMED = COMBINED + ' $request_time $upstream_addr $upstream_status "$http_x_request_id" $request_id'


@dataclass(frozen=True, kw_only=True)
class Request:
    """`path` and `agent` are bytes that a visitor has sent. `number` is what the proxy's id is made of, None where an
    older Celadon had it log none."""

    path: bytes = b"/cart"
    agent: bytes = b"curl/8"
    status: int = 200
    slot: Slot = Slot.BLUE
    number: int | None = 12

    @property
    def hex(self) -> bytes:
        return b"%032x" % (self.number or 0)

    @property
    def uuid(self) -> bytes:
        return b"00000000-0000-4000-8000-%012x" % (self.number or 0)


def write_nginx(request: Request) -> bytes:
    """`escape=json`: quotes and control characters; bytes above 127 pass as they came."""
    uri = b"".join(
        b"\\" + bytes([byte]) if byte in b'"\\' else b"\\u%04X" % byte if byte < 32 else bytes([byte])
        for byte in request.path
    )
    return (
        b'{"slot":"%s","status":"%d","upstream_status":"%d","request_time":"0.042","client":"203.0.113.9",'
        b'"method":"GET","uri":"%s","look":"","pid":"42","upstream":"127.0.0.1:8000","config":"abc"%s}'
        % (
            request.slot.value.encode(),
            request.status,
            request.status,
            uri,
            b"" if request.number is None else b',"request_id":"%s"' % request.hex,
        )
    )


def write_combined(request: Request) -> bytes:
    """`escape=default`."""
    path, agent = (
        b"".join(b"\\x%02X" % byte if byte in b'"\\' or not 32 <= byte < 127 else bytes([byte]) for byte in text)
        for text in (request.path, request.agent)
    )
    return b'203.0.113.9 - %s [25/Nov/2026:02:25:55 +0000] "GET %s HTTP/1.1" %d 5120 "%s" "%s" 0.042 %s %d "%s" %s' % (
        agent,
        path,
        request.status,
        agent,
        agent,
        ADDRESSES[request.slot].encode(),
        request.status,
        agent,
        request.hex,
    )


def write_caddy(request: Request) -> bytes:
    """Go's JSON, whose strings are UTF-8; headers stand in lines of an older Celadon's snippet only."""
    path, agent = (text.decode(errors="replace") for text in (request.path, request.agent))
    ours = {"celadon_request": request.uuid.decode(), "celadon_look": agent, "celadon_generation": "abc"}
    line = {
        "level": "info",
        "ts": 1795573555.25,
        "request": {
            "remote_ip": "203.0.113.9",
            "method": "GET",
            "uri": path,
            "headers": {"User-Agent": [agent], agent.title(): [agent], "Celadon_request": [agent], "Status": ["500"]},
        },
        "user_id": "",
        "duration": 0.042,
        "status": request.status,
        **({} if request.number is None else ours),
        "celadon_upstream": ADDRESSES[request.slot],
    }
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()


def write_old_caddy(request: Request) -> bytes:
    """2.6, whose lines have ours in one field."""
    path, agent = (text.decode(errors="replace") for text in (request.path, request.agent))
    told = "" if request.number is None else f" {request.uuid.decode()}"
    line = {
        "request": {
            "remote_ip": "203.0.113.9",
            "method": "GET",
            "uri": path,
            "headers": {"User-Agent": [agent], "X-Celadon-Look": [agent]},
        },
        "user_id": f"celadon abc {ADDRESSES[request.slot]} {told}",
        "duration": 0.042,
        "status": request.status,
    }
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()


def write_haproxy(request: Request) -> bytes:
    """What a visitor sent stands in the path and in a captured header, its hostile bytes as `#22`, and as it came in a
    captured cookie."""
    path, agent = (
        b"".join(b"#%02X" % byte if byte in b'"#{|}' or not 32 < byte < 127 else bytes([byte]) for byte in text)
        for text in (request.path, request.agent)
    )
    captured = b"{%s} " % agent if request.agent != Request.agent else b""
    cookie = b"sid=" + request.uuid if request.agent != Request.agent else b"-"
    named = b"" if request.number is None else request.uuid + b" "
    return (
        b"<134>Nov 25 02:17:13 haproxy[321]: 203.0.113.9:56872 [25/Nov/2026:02:25:55.002] web~ app/shop.%s "
        b'0/0/1/40/42 %d 118 %s%s - ---- 1/1/0/0/0 0/0 %s"GET %s HTTP/1.1"'
        % (request.slot.value.encode(), request.status, named, cookie, captured, path)
    )


def write_traefik(request: Request) -> bytes:
    path = request.path.decode(errors="replace")
    line = {
        "ClientHost": "203.0.113.9",
        "DownstreamStatus": request.status,
        "Duration": 42_000_000,
        "OriginStatus": request.status,
        **({} if request.number is None else {"RequestCount": request.number}),
        "RequestMethod": "GET",
        "RequestPath": path,
        "RouterName": "celadon-shop@file",
        "ServiceAddr": ADDRESSES[request.slot],
        "TraceId": "a visitor's",
        "request_Requestcount": "13",
        "request_User-Agent": request.agent.decode(errors="replace"),
    }
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()


def write_traefik_common(request: Request) -> bytes:
    """Go's %q of what a visitor sent, but for the path."""
    path = request.path.decode(errors="replace").encode("unicode_escape").replace(b'"', b"%22")
    agent = json.dumps(request.agent.decode(errors="replace")).encode()
    return (
        b'203.0.113.9 - - [25/Nov/2026:02:22:36 +0000] "GET %s HTTP/1.1" %d 5 "-" %s %d "x@file" "http://%s" 42ms'
        % (
            path,
            request.status,
            agent,
            request.number or 0,
            ADDRESSES[request.slot].encode(),
        )
    )


def open_combined(path: Path) -> Traffic:
    found = recognise(TIMED, slots=SLOTS)
    assert found.parse is not None
    return JsonLinesTraffic(path, mark="", parse=found.parse, parse_block=found.parse_block)


def open_caddy(path: Path) -> Traffic:
    parser = CaddyLineParser(SLOTS)
    return JsonLinesTraffic(path, mark="secret", parse=parser.parse, parse_block=parser.parse_block)


def open_traefik(path: Path) -> Traffic:
    return TraefikTraffic(path, app=AppName("shop"), slots=SLOTS)


SERVERS = {f"shop.{slot}": (slot, False) for slot in Slot}


@dataclass(frozen=True)
class Format:
    """`named` is how it has a request's id."""

    write: Callable[[Request], bytes]
    open: Callable[[Path], Traffic]
    named: Callable[[Request], bytes]


def by_number(request: Request) -> bytes:
    return b"%d" % (request.number or 0)


def by_uuid(request: Request) -> bytes:
    return request.uuid


def by_hex(request: Request) -> bytes:
    return request.hex


FORMATS = {
    "nginx": Format(write_nginx, lambda path: JsonLinesTraffic(path, mark="secret"), by_hex),
    "combined": Format(write_combined, open_combined, by_hex),
    "caddy": Format(write_caddy, open_caddy, by_uuid),
    "caddy 2.6": Format(write_old_caddy, open_caddy, by_uuid),
    "haproxy": Format(write_haproxy, lambda path: FileTraffic(path, parser=HaproxyLineParser(SERVERS)), by_uuid),
    "traefik": Format(write_traefik, open_traefik, by_number),
    "traefik common": Format(write_traefik_common, open_traefik, by_number),
}
OF_BEFORE = ("nginx", "caddy", "caddy 2.6", "haproxy", "traefik")
"""Formats whose lines may have no id."""
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


def is_blues(hit: Hit, *, log: Format) -> bool:
    """Nothing but its route may be a visitor's choice."""
    return hit == Hit(
        slot=Slot.BLUE,
        status=200,
        upstream_status=None if log.write is write_traefik_common else 200,
        duration_ms=42.0,
        client_key="203.0.113.9",
        route=hit.route,
        request_id=log.named(Request()).decode(),
    )


@EVERY_FORMAT
def test_a_line_tells_slot_status_time_client_route_and_id(log: Format, tmp_path: Path) -> None:
    """And of a request only its path."""
    [hit], unreadable_count = read_pieces(log, tmp_path / "log", [log.write(Request(path=b"/cart?id=7")) + b"\n"])
    assert is_blues(hit, log=log)
    assert (hit.route.partition("?")[0], unreadable_count) == ("GET /cart", 0)


@EVERY_FORMAT
@pytest.mark.parametrize("ending", [b"", b"\n", b"\\", b'"', b'"}\n{"', b"\x00", b"\xff\xfe", b"\r\n"])
def test_a_whole_line_in_a_path_or_a_user_agent_is_no_line(log: Format, tmp_path: Path, ending: bytes) -> None:
    """As another slot's failure, raw and as its own proxy would have written it."""
    forged = log.write(Request(status=500, slot=Slot.GREEN, number=99))
    sent = forged + ending + forged + b"\n" + forged + ending
    lines = [
        log.write(Request(path=b"/" + sent)),
        log.write(Request(agent=sent)),
        log.write(Request(path=sent, agent=sent)),
    ]
    hits, unreadable_count = read_pieces(log, tmp_path / "log", [b"\n".join([*lines, b""])])
    assert [is_blues(hit, log=log) for hit in hits] == [True] * 3
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
    assert [is_blues(hit, log=log) for hit in hits] == [True]


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
    assert [is_blues(hit, log=log) for hit in (hits[0], hits[-1])] == [True] * 2
    assert {hit.status for hit in hits} == {200}
    assert len(hits) + unreadable_count <= 3


@pytest.mark.parametrize("name", OF_BEFORE)
def test_lines_of_before_there_were_ids_are_read_among_others(name: str, tmp_path: Path) -> None:
    """An upgrade renders the log anew while the old file is still read, and its rotated ones for the baseline."""
    log = FORMATS[name]
    lines = [log.write(Request(number=number)) + b"\n" for number in (None, 12, None, 12)]
    hits, unreadable_count = read_pieces(log, tmp_path / "log", [b"".join(lines)])
    named = log.named(Request()).decode()
    assert ([hit.request_id for hit in hits], unreadable_count) == (["", named, "", named], 0)
    assert {(hit.slot, hit.status, hit.duration_ms) for hit in hits} == {(Slot.BLUE, 200, 42.0)}


@EVERY_FORMAT
@pytest.mark.parametrize(
    "unit", [b' [x] "A ', b' HTTP/1" 200 5 "', b"[1]: ", b"\\", b" [25/Nov/2026:02:25:55 +0000] ", b":1"]
)
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
    at=some.integers(0, 240),
    drop=some.integers(0, 30),
    splice=SPLICES,
)
def test_the_short_way_reads_nothing_that_the_careful_one_reads_otherwise(
    line: bytes, at: int, drop: int, splice: bytes
) -> None:
    """HAProxy's usual line has a pattern of its own, for speed; whatever it takes must be the same to both."""
    text = (line[:at] + splice + line[at + drop :]).decode("utf-8", "replace")
    usual = haproxy_lines._USUAL.match(text)
    if usual is not None:
        assert [*usual.groups()] == haproxy_lines._split_carefully(text)


def drop_blanks(lines: Sequence[bytes]) -> list[bytes]:
    """And what would be more lines than one."""
    return [line for line in (line.replace(b"\n", b"") for line in lines) if line.strip()]


JSON_VALUES = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**70), 2**70) | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CADDYS = ("request", "user_id", "duration", "status", "celadon_request", "celadon_look", "celadon_upstream")
TRAEFIKS = ("ClientHost", "DownstreamStatus", "Duration", "RequestCount", "RequestPath", "RouterName", "ServiceAddr")
OURS = some.dictionaries(some.sampled_from([*CADDYS, *TRAEFIKS]), JSON_VALUES, max_size=3)


@pytest.mark.parametrize("name", ["caddy", "caddy 2.6", "combined", "haproxy", "traefik"])
@settings(max_examples=40, deadline=None)
@given(data=some.data())
def test_many_lines_at_once_tell_what_each_tells_by_itself(
    name: str, tmp_path_factory: pytest.TempPathFactory, data: some.DataObject
) -> None:
    """Whatever stands among them: other values, damage, another format's lines, no lines at all."""
    log = FORMATS[name]
    usual = log.write(Request(path=b"/\xc3\xa9", agent=data.draw(some.binary(max_size=20))))
    changed = {**json.loads(usual if usual.startswith(b"{") else b"{}"), **data.draw(OURS)}
    at, drop = data.draw(some.integers(0, len(usual))), data.draw(some.integers(0, 9))
    strange = [
        json.dumps(changed).encode(),
        usual[:at] + data.draw(SPLICES) + usual[at + drop :],
        data.draw(some.sampled_from([usual + usual, b" " + usual, write_traefik_common(Request()), b"{}", b"null"])),
    ]
    lines = drop_blanks(data.draw(some.permutations([usual, *data.draw(some.permutations(strange))])))
    path = tmp_path_factory.getbasetemp() / "many.log"
    whole = read_pieces(log, path, [b"".join(line + b"\n" for line in lines)])
    assert whole == read_pieces(log, path, [line + b"\n" for line in lines])
    traffic = log.open(path)
    assert isinstance(traffic, TailedTraffic)
    if usual + usual not in lines:  # two objects that ran together are two requests, but not to who reads one line
        each = [*map(traffic._take, lines)]
        assert whole == ([taken for taken in each if isinstance(taken, Hit)], each.count(Passed.UNREADABLE))
