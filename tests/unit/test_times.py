"""When a request was made, as each format of access log tells it."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from celadon.drivers.traffic import times
from celadon.drivers.traffic.json_lines import parse_hit
from celadon.drivers.traffic.recognise import COMBINED
from celadon.drivers.traffic.times import (
    make_nginx_time_reader,
    read_caddy_time,
    read_common_time,
    read_haproxy_time,
    read_nginx_time,
    read_traefik_time,
)
from tests.unit.test_json_lines import render_line
from tests.unit.test_recognise import JSON, write
from tests.unit.test_traefik_lines import COMMON

AT_S = datetime(2026, 11, 25, 2, 25, 55, 2_000, tzinfo=UTC).timestamp()
WHOLE_S = float(int(AT_S))
HAPROXY = (
    "203.0.113.9:56872 [25/Nov/2026:02:25:55.002] web~ app/shop.blue 0/0/1/40/42 200 118 - - ---- 1/1/0/0/0 0/0 "
    '"GET /cart HTTP/1.1"'
)
FORGED = '"msec":"1.5" "ts":1.5 "StartUTC":"2020-01-01T00:00:00Z" [01/Jan/2020:00:00:00 +0000] '

READERS = [read_nginx_time, read_caddy_time, read_haproxy_time, read_traefik_time, read_common_time]


def render(fields: dict[str, object]) -> str:
    return json.dumps(fields, separators=(",", ":"))


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """What was read in one zone is forgotten in the next: a process outside of these tests lives in one."""

    def enter_zone() -> None:
        time.tzset()
        times._read_local.cache_clear()

    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        enter_zone()

    yield set_zone
    monkeypatch.undo()
    enter_zone()


@pytest.mark.parametrize(
    ("read", "line", "at_s"),
    [
        (
            read_nginx_time,
            json.dumps({"slot": "blue", "uri": FORGED, "msec": "1795573555.002"}, separators=(",", ":")),
            AT_S,
        ),
        (read_caddy_time, json.dumps({"request": {"uri": FORGED}, "ts": 1795573555.002}, separators=(",", ":")), AT_S),
        (read_caddy_time, '{"level":"info","ts":1795573555,"logger":"http"}', WHOLE_S),
        (read_traefik_time, '{"RequestPath":"/","StartUTC":"2026-11-25T02:25:55.002000123Z"}', AT_S),
        (read_traefik_time, COMMON.format(status=200, router="shop@file", port=9002), WHOLE_S - 199),
        (read_common_time, '::1 - - [25/Nov/2026:04:55:55 +0230] "GET / HTTP/1.1" 200 0 "-" "-"', WHOLE_S),
        (read_common_time, '::1 - - [24/Nov/2026:21:25:55 -0500] "GET / HTTP/1.1" 200 0 "-" "-"', WHOLE_S),
    ],
)
def test_a_line_tells_when_its_request_was_made(read: Callable[[bytes], float | None], line: str, at_s: float) -> None:
    """Whatever a client wrote into its path."""
    assert read(line.encode()) == pytest.approx(at_s, abs=0.001)


def test_haproxy_writes_the_machines_own_time(set_zone: Callable[[str], None]) -> None:
    """It names no zone; a summer's hour is that of the day in the line, not of today."""
    for zone, east_h in (("UTC", 0), ("Asia/Tokyo", 9), ("America/New_York", -5)):
        set_zone(zone)
        assert read_haproxy_time(f"<134>haproxy[321]: {HAPROXY}".encode()) == pytest.approx(AT_S - 3600 * east_h)
    summer = HAPROXY.replace("25/Nov", "25/Jul").encode()
    assert read_haproxy_time(summer) == pytest.approx(datetime(2026, 7, 25, 6, 25, 55, 2_000, tzinfo=UTC).timestamp())


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "line", [b"", b"nonsense", b'{"slot":"blue"}', b"[99/Foo/2026:02:25:55.002]", b'"StartUTC":"soon"']
)
def test_a_line_that_tells_no_time_has_none(read: Callable[[bytes], float | None], line: bytes) -> None:
    assert read(line) is None


def test_a_line_of_ours_without_a_time_is_still_a_hit() -> None:
    """As every line is that was written before an upgrade."""
    line = render_line()
    assert parse_hit(line) is not None
    assert read_nginx_time(line) is None
    assert parse_hit(render_line(msec="1795573555.002")) == parse_hit(line)


@pytest.mark.parametrize(
    ("log_format", "at_s"),
    [
        (COMBINED, WHOLE_S),
        (JSON, WHOLE_S),
        ("$remote_addr $request_time $msec $status", AT_S),
        ("${msec} $remote_addr $status", AT_S),
    ],
)
def test_a_format_of_the_owner_tells_the_time_in_its_own_place(log_format: str, at_s: float) -> None:
    read = make_nginx_time_reader(log_format)
    assert read is not None
    told = {
        "time_local": "25/Nov/2026:02:25:55 +0000",
        "time_iso8601": "2026-11-25T02:25:55+00:00",
        "msec": "1795573555.002",
    }
    line = write(log_format.replace("${msec}", "$msec"), **told)
    assert read(line) == pytest.approx(at_s, abs=0.001)


def test_a_format_without_a_time_has_no_reader() -> None:
    assert make_nginx_time_reader('$remote_addr "$request" $status') is None
