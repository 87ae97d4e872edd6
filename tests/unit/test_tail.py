"""Following a log through what rotates, truncates and restarts."""

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from celadon.host.tail import LineTail
from celadon.host.tail_position import FilePosition, TailPosition, read_position, write_position


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(b"".join(line + b"\n" for line in lines))


def name(*numbers: int) -> list[bytes]:
    return [b"GET /%d" % number for number in numbers]


def read_all(tail: LineTail) -> list[bytes]:
    lines: list[bytes] = []
    while batch := tail.read_lines():
        lines += batch
    return lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    append(path, b"before")
    return path


@pytest.fixture
def tail(log: Path) -> Iterator[LineTail]:
    tail = LineTail(log)
    yield tail
    tail.close()


def rotate(log: Path, *how: str) -> None:
    """By the real program, which insists that nobody else may write its configuration."""
    log.parent.chmod(0o755)
    config = log.with_name("rotate.conf")
    config.write_text(f"{log} {{\n size 1\n rotate 4\n nocompress\n {chr(10).join(how)}\n}}\n")
    config.chmod(0o644)
    subprocess.run(["logrotate", "-f", "-s", str(log.with_name("state")), str(config)], check=True)


@pytest.mark.parametrize("how", [("create",), ("copytruncate",), ("nocreate", "dateext", "dateformat -%s")])
def test_logrotate_loses_and_repeats_nothing(log: Path, tail: LineTail, how: tuple[str, ...]) -> None:
    """With lines that were written since the last read, and a line that is half written when it comes."""
    append(log, *name(1))
    assert read_all(tail) == name(1)
    append(log, *name(2, 3))
    rotate(log, *how)
    append(log, *name(4))
    assert read_all(tail) == name(2, 3, 4)
    append(log, *name(5))
    assert read_all(tail) == name(5)


def test_a_line_that_a_copy_cuts_in_two_is_one_line(log: Path, tail: LineTail) -> None:
    """Its beginning was read before the truncation, its end stands in the copy."""
    with log.open("ab") as stream:
        stream.write(b"GET /ha")
    assert read_all(tail) == []
    append(log, b"lf")
    rotate(log, "copytruncate")
    append(log, *name(2))
    assert read_all(tail) == [b"GET /half", *name(2)]


def test_a_renamed_file_is_read_to_its_end_before_it_is_left(log: Path, tail: LineTail) -> None:
    """Two rotations between two reads, with a straggler in the oldest file."""
    assert read_all(tail) == []
    rotate(log, "create")
    append(log, *name(2))
    assert read_all(tail) == name(2)
    append(log.with_name("access.log.1"), *name(1))
    rotate(log, "create")
    append(log, *name(3))
    assert read_all(tail) == name(1, 3)


def test_two_rotations_while_a_burst_is_taken_lose_none_of_it(log: Path, tail: LineTail) -> None:
    """The oldest file is left when it was read, not when it is one too many."""
    append(log, *([b"x" * 1023] * 40_960))
    count = len(tail.read_lines())
    for _ in range(2):
        rotate(log, "create")
        append(log, b"one more")
        count += len(tail.read_lines())
    assert count + len(read_all(tail)) == 40_962


@pytest.mark.parametrize("between", ["nothing", "create", "copytruncate"])
def test_a_restarted_reader_goes_on_where_the_last_one_was(log: Path, tail: LineTail, between: str) -> None:
    """The kept position survives a rotation while nobody reads, and the line that had no end yet comes whole."""
    append(log, *name(1))
    with log.open("ab") as stream:
        stream.write(b"GET /ha")
    assert read_all(tail) == name(1)
    kept = log.with_name("position.json")
    write_position(kept, tail.position)
    append(log, b"lf", *name(2))
    if between != "nothing":
        rotate(log, between)
    append(log, *name(3))
    again = LineTail(log, resume_from=read_position(kept))
    assert read_all(again) == [b"GET /half", *name(2, 3)]
    again.close()


def test_a_position_of_a_file_that_is_gone_begins_the_new_one(log: Path) -> None:
    """Its inode may have been given to the new file: the mark tells."""
    inode = log.stat().st_ino
    stale = TailPosition(files=(FilePosition(inode=inode, offset_bytes=4, mark=b"else"),))
    again = LineTail(log, resume_from=stale)
    assert read_all(again) == [b"before"]
    again.close()


@pytest.mark.parametrize("text", [b"", b"{", b'{"files":[{}]}', b"\xff"])
def test_a_damaged_position_is_none(tmp_path: Path, text: bytes) -> None:
    """The reader then begins as one without."""
    path = tmp_path / "position.json"
    path.write_bytes(text)
    assert read_position(path) is None
    assert read_position(tmp_path / "nothing") is None


def test_a_long_line_that_is_being_skipped_is_skipped_by_the_next_reader(log: Path, tail: LineTail) -> None:
    """Its second half is no line."""
    with log.open("ab") as stream:
        stream.write(b"x" * 200_000)
    assert read_all(tail) == []
    append(log, b"tail of it", *name(1))
    again = LineTail(log, resume_from=tail.position)
    assert read_all(again) == name(1)
    again.close()


def test_a_burst_comes_in_batches(log: Path, tail: LineTail) -> None:
    """64 MB written at once: no call hands over more than 8 MiB, and none of it is lost."""
    line = b"x" * 1023
    append(log, *([line] * 65_536))
    counts = []
    while batch := tail.read_lines():
        counts.append(len(batch))
    assert sum(counts) == 65_536
    assert max(counts) <= 8 * 1024


def test_a_line_of_a_gigabyte_takes_no_memory(log: Path, tail: LineTail) -> None:
    """Sparse; what the process holds at its peak does not grow by more than some batches."""
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with log.open("ab") as stream:
        stream.write(b"x")
        stream.truncate(stream.tell() + 1024**3)
    append(log, b"", *name(1))
    lines: list[bytes] = []
    while not lines:
        lines += tail.read_lines()
    assert lines == name(1)
    assert tail.overlong_count == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 40 * 1024
