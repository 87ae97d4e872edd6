"""How fast access logs are read, beside what Python needs to look at the same lines at all."""

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.reading.formats import Format, list_formats
from bench.tables import Table

_BURST_LINES_COUNT = 500_000
_STREAM_BYTES = 2_000_000_000
_PACE_LINES_PER_S = 1000
_POLL_S = 0.25
_PACED_S = 10.0


def run(*, quick: bool) -> str:
    """Each figure is of a process of its own."""
    scale = 0.1 if quick else 1.0
    rows = []
    for found in list_formats():
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "access.log"
            lines_count = int(_BURST_LINES_COUNT * scale)
            read_s, bare_s = _apart(_measure_burst, found, path, lines_count)
            busy_percent, _ = _apart(_measure_pace, found, path, _PACED_S * scale)
            start_mb, peak_mb = _apart(_measure_stream, found, path, _STREAM_BYTES * scale)
        rows.append(
            [
                found.name,
                f"{lines_count / read_s:,.0f}",
                f"{lines_count / bare_s:,.0f}",
                f"{busy_percent:.1f} %",
                f"{start_mb:.0f} MB",
                f"{peak_mb:.0f} MB",
            ]
        )
    return Table(
        title="Reading access logs, one core",
        head=["format", "lines/s", "bare loop", f"CPU at {_PACE_LINES_PER_S}/s", "RSS after 5 %", "peak RSS"],
        rows=rows,
        note=(
            "bare loop: `for line in file: pass` over the same file in the same process. CPU: of one core, read each "
            f"{_POLL_S} s. RSS: over {_STREAM_BYTES * scale / 1e9:.1f} GB, written and truncated as it goes."
        ),
    ).text()


def _apart(measure: Callable[[Format, Path, float], tuple[float, float]], *words: object) -> tuple[float, float]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=lambda: theirs.send(measure(*words)))  # type: ignore[arg-type]
    process.start()
    theirs.close()
    figures: tuple[float, float] = ours.recv()
    process.join()
    return figures


def _measure_burst(found: Format, path: Path, lines_count: float) -> tuple[float, float]:
    block = found.render_block()
    path.write_bytes(b"")
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
    return read_at - begun_at, time.process_time() - read_at


def _measure_pace(found: Format, path: Path, duration_s: float) -> tuple[float, float]:
    """The share of a core, in percent; what writing costs is not in it."""
    part = b"".join(found.render_block()[: int(_PACE_LINES_PER_S * _POLL_S)])
    path.write_bytes(b"")
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
    return 100 * used_s / (rounds_count * _POLL_S), 0.0


def _measure_stream(found: Format, path: Path, stream_bytes: float) -> tuple[float, float]:
    """RSS in MB when a twentieth was read, and at the end."""
    part = b"".join(found.render_block())
    path.write_bytes(b"")
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
    return early_mb, _read_peak_mb()


def _read_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
