"""How fast access logs are read, beside what Python needs to look at the same lines at all; and what a log that is too
much for a reader does to it."""

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.reading.formats import Format, list_formats
from bench.tables import Table
from celadon.drivers.traffic.tailed import TailedTraffic

_LINES_COUNT = 500_000
_STREAM_BYTES = 10_000_000_000
_PACE_LINES_PER_S = 1000
_POLL_S = 0.25
_PACED_S = 10.0
_BURST_BYTES_PER_S = 200_000_000
_BURST_S = 5.0
_BURST_PIECE_S = 0.01
_ENDLESS_BYTES = 1_000_000_000
_PIECE_BYTES = 1_000_000

Figures = tuple[float, float, float]
Measure = Callable[[Format, Path, float], Figures]


def run(*, quick: bool, only: str = "") -> str:
    """Each figure is of a process of its own. `only`: of formats whose name has it."""
    scale = 0.1 if quick else 1.0
    formats = [found for found in list_formats() if only in found.name]
    return f"{_tell_speed(formats, scale)}\n{_tell_too_much(formats, scale)}"


def _tell_speed(formats: list[Format], scale: float) -> str:
    rows = []
    for found in formats:
        lines_count = int(_LINES_COUNT * scale)
        read_s, bare_s, line_bytes = _apart(_measure_speed, found, lines_count)
        busy_percent, _, _ = _apart(_measure_pace, found, _PACED_S * scale)
        rows.append(
            [
                found.name,
                f"{line_bytes:.0f} bytes",
                f"{lines_count / read_s:,.0f}",
                f"{lines_count / bare_s:,.0f}",
                f"{busy_percent:.1f} %",
            ]
        )
    return Table(
        title="Reading access logs, one core",
        head=["format", "a line", "lines/s", "bare loop", f"CPU at {_PACE_LINES_PER_S}/s"],
        rows=rows,
        note=(
            "lines/s: by CPU time. bare loop: `for line in file: pass` over the same file in the same process. CPU: of "
            f"one core, read each {_POLL_S} s."
        ),
    ).text()


def _tell_too_much(formats: list[Format], scale: float) -> str:
    rows = []
    for found in formats:
        early_mb, peak_mb, _ = _apart(_measure_stream, found, _STREAM_BYTES * scale)
        mb_per_s, behind_mb, late_s = _apart(_measure_burst, found, _BURST_S * scale)
        endless_mb, after_count, _ = _apart(_measure_endless, found, _ENDLESS_BYTES * scale)
        rows.append(
            [
                found.name,
                f"{early_mb:.0f} MB",
                f"{peak_mb:.0f} MB",
                f"{mb_per_s:.0f} MB/s",
                f"{behind_mb:.0f} MB",
                f"{late_s:.1f} s",
                f"{endless_mb:.0f} MB",
                f"{after_count:.0f} of 1000",
            ]
        )
    return Table(
        title="Much at once",
        head=["format", "RSS after 5 %", "peak RSS", "burst", "behind", "late", "endless line: RSS", "lines after it"],
        rows=rows,
        note=(
            f"RSS: over {_STREAM_BYTES * scale / 1e9:.1f} GB, written and truncated as it goes. burst: another process "
            f"writes {_BURST_BYTES_PER_S / 1e6:.0f} MB/s for {_BURST_S * scale:.1f} s; how fast all was read, how much "
            "was written and unread at most, how long after the last byte the last line was read. endless line: of "
            f"{_ENDLESS_BYTES * scale / 1e9:.1f} GB, written as it is read."
        ),
    ).text()


def _apart(measure: Measure, found: Format, amount: float) -> Figures:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "access.log"
        path.write_bytes(b"")
        process = context.Process(target=lambda: theirs.send(measure(found, path, amount)))
        process.start()
        theirs.close()
        figures: Figures = ours.recv()
        process.join()
    return figures


def _measure_speed(found: Format, path: Path, lines_count: float) -> Figures:
    block = found.render_block()
    traffic = found.open(path)
    path.write_bytes(b"".join(block) * (int(lines_count) // len(block)))
    begun_at = time.process_time()
    hits_count = 0
    while hits := traffic.read():
        hits_count += len(hits)
    read_at = time.process_time()
    with path.open("rb") as stream:
        for _ in stream:
            pass
    if hits_count != lines_count:
        raise AssertionError(f"{found.name}: {hits_count} hits of {lines_count} lines")
    bare_s = time.process_time() - read_at
    return read_at - begun_at, bare_s, path.stat().st_size / lines_count


def _measure_pace(found: Format, path: Path, duration_s: float) -> Figures:
    """The share of a core, in percent; what writing costs is not in it."""
    part = b"".join(found.render_block()[: int(_PACE_LINES_PER_S * _POLL_S)])
    traffic = found.open(path)
    used_s = 0.0
    rounds_count = max(1, int(duration_s / _POLL_S))
    for _ in range(rounds_count):
        with path.open("ab") as stream:
            stream.write(part)
        time.sleep(_POLL_S)
        begun_at = time.process_time()
        traffic.read()
        used_s += time.process_time() - begun_at
    return 100 * used_s / (rounds_count * _POLL_S), 0.0, 0.0


def _measure_stream(found: Format, path: Path, stream_bytes: float) -> Figures:
    """RSS in MB when a twentieth was read, and at the end."""
    part = b"".join(found.render_block())
    traffic = found.open(path)
    written_bytes, early_mb = 0, 0.0
    while written_bytes < stream_bytes:
        with path.open("wb" if written_bytes % (64 * len(part)) == 0 else "ab") as stream:
            for _ in range(16):
                stream.write(part)
        written_bytes += 16 * len(part)
        while traffic.read():
            pass
        if written_bytes < stream_bytes / 20 or not early_mb:
            early_mb = _read_peak_mb()
    return early_mb, _read_peak_mb(), 0.0


def _measure_burst(found: Format, path: Path, duration_s: float) -> Figures:
    """MB/s until all was read, MB behind at most, seconds from the last write to the last line."""
    part = b"".join(found.render_block())
    traffic = found.open(path)
    assert isinstance(traffic, TailedTraffic)
    rounds_count = max(1, int(_BURST_BYTES_PER_S * duration_s / len(part)))
    context = multiprocessing.get_context("fork")
    writer = context.Process(target=_write_at_rate, args=(path, part, rounds_count))
    whole_bytes = rounds_count * len(part)
    begun_at = time.monotonic()
    written_at = 0.0
    writer.start()
    read_bytes = behind_bytes = 0
    while read_bytes < whole_bytes:
        traffic.read()
        read_bytes = traffic.position.files[-1].offset_bytes
        written_bytes = path.stat().st_size
        behind_bytes = max(behind_bytes, written_bytes - read_bytes)
        written_at = written_at or (time.monotonic() if written_bytes == whole_bytes else 0.0)
    writer.join()
    over_at = time.monotonic()
    return whole_bytes / (over_at - begun_at) / 1e6, behind_bytes / 1e6, over_at - written_at


def _write_at_rate(path: Path, part: bytes, rounds_count: int) -> None:
    step = int(_BURST_BYTES_PER_S * _BURST_PIECE_S)
    begun_at, written_bytes = time.monotonic(), 0
    with path.open("ab", buffering=0) as stream:
        for _ in range(rounds_count):
            for start in range(0, len(part), step):
                written_bytes += stream.write(part[start : start + step])
                time.sleep(max(0.0, written_bytes / _BURST_BYTES_PER_S - (time.monotonic() - begun_at)))


def _measure_endless(found: Format, path: Path, line_bytes: float) -> Figures:
    """Peak RSS in MB, and how many of the thousand lines behind it were read."""
    block = found.render_block()
    traffic = found.open(path)
    hits_count = 0
    with path.open("ab", buffering=0) as stream:
        stream.write(block[0].rstrip(b"\n"))
        for _ in range(int(line_bytes / _PIECE_BYTES)):
            stream.write(b"x" * _PIECE_BYTES)
            hits_count -= len(traffic.read())
        stream.write(b"\n" + b"".join(block[:1000]))
    while hits := traffic.read():
        hits_count += len(hits)
    return _read_peak_mb(), hits_count, 0.0


def _read_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
