"""Reading what a log holds already: the newest first, each line once, and no longer than there is time for."""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from celadon.host import past
from celadon.host.past import read_past

NEVER = float("-inf")


def read_number(line: bytes) -> float | None:
    return float(line[:8]) if line[:8].isdigit() else None


def lines(first: int, last: int, *, pad: int = 0) -> bytes:
    return b"".join(b"%08d%s\n" % (number, b"x" * pad) for number in range(first, last))


def read(path: Path, *, since_s: float = NEVER, parts_count: int = 1_000_000) -> list[list[int]]:
    """The numbers of each part's lines. Time is over after so many parts."""
    found: list[list[int]] = []
    parts = read_past(path, since_s=since_s, read_time=read_number, is_over=lambda: len(found) >= parts_count)
    found.extend([int(line[:8]) for line in part] for part in parts)
    return found


def dated(path: Path, text: bytes, *, at_s: int) -> None:
    path.write_bytes(text)
    os.utime(path, (at_s, at_s))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parts of 100, 200 and 400 bytes."""
    monkeypatch.setattr(past, "_FIRST_PART_BYTES", 100)
    monkeypatch.setattr(past, "_PART_LIMIT_BYTES", 400)
    monkeypatch.setattr(past, "_CHUNK_BYTES", 64)
    return tmp_path / "access.log"


def flat(parts: Sequence[Sequence[int]]) -> list[int]:
    return [number for part in reversed(parts) for number in part]


def test_the_newest_part_comes_first_and_all_of_them_are_the_log(log: Path) -> None:
    log.write_bytes(lines(0, 200))
    found = read(log)
    assert [part[-1] for part in found] == sorted((part[-1] for part in found), reverse=True)
    assert [len(part) for part in found[:3]] == [11, 22, 44]
    assert flat(found) == list(range(200))


def test_what_is_known_already_is_not_read_again(log: Path) -> None:
    """Up to the part that reaches back to it."""
    log.write_bytes(lines(0, 200))
    assert [len(part) for part in read(log, since_s=195.0)] == [11]
    assert [len(part) for part in read(log, since_s=170.0)] == [11, 22]


def test_rotated_siblings_follow_compressed_or_not(log: Path) -> None:
    """As logrotate names them, and as Caddy does; a copy of somebody's own is no second log."""
    dated(log, lines(40, 45), at_s=45)
    dated(log.with_name("access.log.1"), lines(30, 40), at_s=40)
    dated(log.with_name("access-2026-11-25T02-25-55.002.log"), lines(20, 30), at_s=30)
    dated(log.with_name("access.log.2.gz"), gzip.compress(lines(10, 20)), at_s=20)
    dated(log.with_name("access.log-20261120"), lines(0, 10), at_s=10)
    dated(log.with_name("access.log.bak"), lines(0, 45), at_s=45)
    dated(log.with_name("access.log.1.gz"), gzip.compress(lines(30, 40)), at_s=40)
    dated(log.with_name("error.log"), lines(0, 45), at_s=45)
    assert flat(read(log)) == list(range(45))
    assert flat(read(log, since_s=20.0)) == list(range(20, 45))


def test_a_log_that_is_too_long_for_the_time_is_read_from_its_end(log: Path) -> None:
    log.write_bytes(lines(0, 200))
    assert [len(part) for part in read(log, parts_count=2)] == [11, 22]


def test_a_part_ends_when_the_time_is_over(log: Path) -> None:
    """Also one of a compressed file, which may come to anything."""
    log.with_name("access.log.1.gz").write_bytes(gzip.compress(lines(0, 10_000)))
    asked: list[int] = []

    def is_over() -> bool:
        asked.append(1)
        return len(asked) > 10

    [part] = read_past(log, since_s=NEVER, read_time=read_number, is_over=is_over)
    assert 0 < len(list(part)) < 100


def test_a_line_that_is_too_long_is_left_out_whole(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tail, which a client may have written, is no line of its own."""
    monkeypatch.setattr(past, "_LINE_LIMIT_BYTES", 50)
    text = lines(0, 20) + lines(99, 100, pad=5000)[:-1] + lines(98, 99) + lines(20, 40)
    log.write_bytes(text)
    assert flat(read(log)) == list(range(40))
    log.with_name("access.log.1.gz").write_bytes(gzip.compress(text))
    log.unlink()
    assert flat(read(log)) == list(range(40))


def test_a_line_that_is_still_being_written_waits(log: Path) -> None:
    log.write_bytes(lines(0, 30) + b"00000030")
    assert flat(read(log)) == list(range(30))


def test_a_damaged_or_missing_file_is_none(log: Path) -> None:
    assert read(log) == []
    dated(log.with_name("access.log.1.gz"), gzip.compress(lines(0, 1_000))[:900], at_s=1_000)
    dated(log.with_name("access.log.2.gz"), b"no gzip", at_s=900)
    dated(log.with_name("access.log.3.gz"), gzip.compress(lines(0, 1_000))[:500] + b"\xff" * 500, at_s=800)
    log.write_bytes(lines(2_000, 2_005))
    [newest, cut, *_] = read(log)
    assert newest == list(range(2_000, 2_005))
    assert cut == list(range(len(cut))) != []
