"""When a request was made: a line of a log → seconds since the epoch. Apart from the parsers, which the window passes
each line through and which need no time of day.

Where a client could write something that looks like a time, it stands behind quotes that the proxy escapes, or behind
the time itself. The user's name of the common formats is the exception: who sends a wrong one lies about his own
request only.
"""

import re
import time
from calendar import timegm
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final

ReadTime = Callable[[bytes], float | None]

_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS: Final = {name: number for number, name in enumerate(_MONTHS, start=1)}

_CADDY = re.compile(rb'"ts":(\d+(?:\.\d+)?)')
_TRAEFIK = re.compile(rb'"StartUTC":"([^"]+)"')
_MSEC: Final = rb"(\d{9,11}\.\d{3})"
_COMMON: Final = rb"(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})"
_ISO: Final = rb"(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))"
_BRACKETED = re.compile(rb"\[" + _COMMON + rb"\]")
_ACCEPTED = re.compile(rb"\[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d)\.(\d{3})\]")
_OURS = re.compile(rb'"msec":"' + _MSEC + rb'"')


def read_nginx_time(line: bytes) -> float | None:
    """Of our own format: when the answer was complete. None for a line that an older Celadon had written."""
    return _read_seconds(_OURS.search(line))


def read_caddy_time(line: bytes) -> float | None:
    """When the answer was complete."""
    return _read_seconds(_CADDY.search(line))


def read_haproxy_time(line: bytes) -> float | None:
    """When the connection was accepted, on this machine's clock and in its zone: HAProxy names none."""
    found = _ACCEPTED.search(line)
    if found is None:
        return None
    at_s = _read_local(found[1])
    return None if at_s is None else at_s + int(found[2]) / 1000


def read_traefik_time(line: bytes) -> float | None:
    """When the request began."""
    if not line.startswith(b"{"):
        return read_common_time(line)
    found = _TRAEFIK.search(line)
    return None if found is None else _read_iso(found[1])


def read_common_time(line: bytes) -> float | None:
    """The first `[25/Nov/2026:02:25:55 +0000]`."""
    found = _BRACKETED.search(line)
    return None if found is None else _read_common(found[1])


def make_nginx_time_reader(log_format: str) -> ReadTime | None:
    """Of a `log_format` with `$msec`, `$time_iso8601` or `$time_local`, the first of these; None where there is none.
    What stands right before and behind it in the format tells it from all else."""
    for name, pattern, read in (
        ("msec", _MSEC, float),
        ("time_iso8601", _ISO, _read_iso),
        ("time_local", _COMMON, _read_common),
    ):
        found = re.search(rf"(.?)\$(?:{name}\b|{{{name}}})(.?)", log_format)
        if found is not None:
            before, after = (re.escape(part.encode()) for part in (found[1], found[2]))
            return _make_reader(re.compile(before + pattern + after), read)
    return None


def _make_reader(pattern: re.Pattern[bytes], read: Callable[[bytes], float | None]) -> ReadTime:
    def read_time(line: bytes) -> float | None:
        found = pattern.search(line)
        return None if found is None else read(found[1])

    return read_time


def _read_seconds(found: re.Match[bytes] | None) -> float | None:
    return None if found is None else float(found[1])


@lru_cache(maxsize=1024)
def _read_local(text: bytes) -> float | None:
    """Many requests share a second."""
    clock = _read_clock(text)
    try:
        return None if clock is None else time.mktime((*clock, 0, 0, -1))
    except OverflowError:
        return None


@lru_cache(maxsize=1024)
def _read_common(text: bytes) -> float | None:
    clock = _read_clock(text)
    if clock is None or not clock[0]:
        return None
    sign = -1 if text[21:22] == b"-" else 1
    east_s = sign * (3600 * int(text[22:24]) + 60 * int(text[24:26]))
    return float(timegm((*clock, 0, 0, 0)) - east_s)


def _read_clock(text: bytes) -> tuple[int, int, int, int, int, int] | None:
    """Of `25/Nov/2026:02:25:55`."""
    month = _MONTH_NUMBERS.get(text[3:6])
    if month is None:
        return None
    return int(text[7:11]), month, int(text[:2]), int(text[12:14]), int(text[15:17]), int(text[18:20])


def _read_iso(text: bytes) -> float | None:
    try:
        return datetime.fromisoformat(text.decode()).timestamp()
    except ValueError:
        return None
