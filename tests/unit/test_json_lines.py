"""Reading an access log that others write, rotate and try to forge."""

import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.drivers.traffic.json_lines import JsonLinesTraffic, parse_hit
from celadon.model.names import Slot


def render_line(**fields: str) -> bytes:
    usual = {
        "slot": "green",
        "status": "200",
        "upstream_status": "200",
        "request_time": "0.012",
        "client": "203.0.113.7",
        "method": "GET",
        "uri": "/cart",
        "look": "",
        "pid": "42",
        "upstream": "127.0.0.1:8001",
        "config": "abc",
    }
    return json.dumps({**usual, **fields}).encode() + b"\n"


class Log:
    """An access log and its reader, placed at its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(render_line(uri="/before"))
        self.traffic = JsonLinesTraffic(path, mark="secret")

    def write(self, *lines: bytes) -> None:
        with self.path.open("ab") as stream:
            stream.write(b"".join(lines))

    def read_routes(self) -> list[str]:
        return [hit.route for hit in self.traffic.read()]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "access.log")
    yield log
    log.traffic.close()


def test_a_line_becomes_a_hit() -> None:
    """Seconds become milliseconds, words become values."""
    hit = parse_hit(render_line(status="502", upstream_status="504, 502", look="n1"))
    assert hit is not None
    assert (hit.slot, hit.status, hit.upstream_status, hit.duration_ms) == (Slot.GREEN, 502, 502, 12.0)
    assert (hit.client_key, hit.route, hit.look) == ("203.0.113.7", "GET /cart", "n1")


@pytest.mark.parametrize("text", ["", "-"])
def test_a_request_that_no_slot_was_asked_for_has_none(text: str) -> None:
    """nginx writes a dash or nothing."""
    hit = parse_hit(render_line(slot=text, upstream_status=text))
    assert hit is not None
    assert (hit.slot, hit.upstream_status) == (None, None)


def test_only_what_was_appended_is_read_and_only_once(log: Log) -> None:
    """A half-written line waits for its end."""
    line = render_line(uri="/late")
    log.write(render_line(uri="/1"), line[:20])
    assert log.read_routes() == ["GET /1"]
    log.write(line[20:])
    assert log.read_routes() == ["GET /late"]
    assert log.read_routes() == []


def test_rotation_by_rename_loses_nothing(log: Log) -> None:
    """The proxy writes into the renamed file until it reopens; both are read."""
    log.write(render_line(uri="/1"))
    renamed = log.path.rename(log.path.with_suffix(".1"))
    log.write(render_line(uri="/3"))
    with renamed.open("ab") as stream:
        stream.write(render_line(uri="/2"))
    assert log.read_routes() == ["GET /1", "GET /2", "GET /3"]
    with renamed.open("ab") as stream:
        stream.write(render_line(uri="/straggler"))
    assert log.read_routes() == ["GET /straggler"]


def test_many_rotations_keep_two_descriptors(log: Log) -> None:
    """A long window must not leak."""
    before = len([*Path("/proc/self/fd").iterdir()])
    for number in range(20):
        log.path.rename(log.path.with_suffix(f".{number}"))
        log.write(render_line(uri=f"/{number}"))
        assert log.read_routes() == [f"GET /{number}"]
    assert len([*Path("/proc/self/fd").iterdir()]) == before + 1


def test_truncation_is_followed(log: Log) -> None:
    """copytruncate: reading goes on from the beginning."""
    os.truncate(log.path, 0)
    log.write(render_line(uri="/new"))
    assert log.read_routes() == ["GET /new"]


def test_truncation_is_noticed_when_the_file_has_outgrown_its_old_size(log: Log) -> None:
    """The size alone would not tell."""
    os.truncate(log.path, 0)
    log.write(*(render_line(uri=f"/{number}") for number in range(50)))
    assert len(log.read_routes()) == 50


def test_a_hole_of_nul_bytes_is_skipped(log: Log) -> None:
    """A program that does not append leaves one after a truncation."""
    os.truncate(log.path, 0)
    log.write(b"\0" * 1_000_000, render_line(uri="/after"))
    assert log.read_routes() == ["GET /after"]


def test_bytes_that_are_not_utf8_do_not_hide_the_request(log: Log) -> None:
    """nginx passes them as the client sent them."""
    log.write(render_line(uri="/x").replace(b"/x", b"/\xff\xfe"))
    [hit] = log.traffic.read()
    assert hit.route == "GET /\ufffd\ufffd"
    assert log.traffic.unreadable_count == 0


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"not json\n",
        b"[]\n",
        b'{"slot":"green"}\n',
        render_line(status="ok"),
        render_line(request_time="soon"),
        render_line().replace(b'"200"', b"200"),
        b"\x00\x01{}\n",
        b'{"slot":"\xff\n',
    ],
)
def test_what_is_not_a_line_of_ours_is_counted_not_raised(log: Log, line: bytes) -> None:
    """One bad line must not end a window."""
    log.write(line, render_line(uri="/good"))
    assert log.read_routes() == ["GET /good"]
    assert log.traffic.unreadable_count == 1


def test_an_endless_line_is_skipped_in_bounded_memory(log: Log) -> None:
    """Sparse, so that the disk does not matter; 1 GB takes a second, 64 MB shows the same."""
    with log.path.open("ab") as stream:
        stream.write(b"x")
        stream.seek(64 * 1024 * 1024, os.SEEK_END)
        stream.write(b"\n")
    log.write(render_line(uri="/after"))
    tracemalloc.start()
    routes = log.read_routes()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert routes == ["GET /after"]
    assert log.traffic.unreadable_count == 1
    assert peak_bytes < 4 * 1024 * 1024


def test_a_log_that_is_not_there_yet_is_read_from_its_beginning(tmp_path: Path) -> None:
    """The proxy makes it when it reloads."""
    path = tmp_path / "access.log"
    traffic = JsonLinesTraffic(path, mark="")
    assert traffic.read() == []
    path.write_bytes(render_line(uri="/first"))
    assert [hit.route for hit in traffic.read()] == ["GET /first"]
    traffic.close()


def test_a_visitor_cannot_pass_for_one_of_our_looks(log: Log) -> None:
    """Looks are left out of a judgement, so the header counts only with the app's own secret."""
    log.write(*(render_line(look=look, status="500") for look in ("secretabc", "abc", "xsecret", "")))
    assert [hit.look for hit in log.traffic.read()] == ["secretabc", "", "", ""]


def test_without_a_secret_no_look_is_ours(tmp_path: Path) -> None:
    """Before the first install there is none."""
    path = tmp_path / "access.log"
    path.touch()
    traffic = JsonLinesTraffic(path, mark="")
    path.write_bytes(render_line(look="abc"))
    assert [hit.look for hit in traffic.read()] == [""]
    traffic.close()


def test_a_long_route_is_cut() -> None:
    """A route is a key; a client must not choose its size."""
    hit = parse_hit(render_line(uri="/" + "a" * 5000))
    assert hit is not None
    assert len(hit.route) == 512
