"""`celadon replay`: which format a log has, and what the rule would have said to each window of it."""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from celadon.drivers.traffic.caddy_lines import CaddyLineParser
from celadon.drivers.traffic.haproxy_lines import HaproxyLineParser
from celadon.drivers.traffic.haproxy_log import FileTraffic
from celadon.drivers.traffic.json_lines import JsonLinesTraffic
from celadon.drivers.traffic.recognise import COMBINED, recognise
from celadon.drivers.traffic.tailed import TailedTraffic
from celadon.drivers.traffic.times import make_nginx_time_reader, read_caddy_time
from celadon.drivers.traffic.traefik_lines import TraefikTraffic
from celadon.host.layout import Layout
from celadon.host.look_mark import read_secret
from celadon.host.past import read_whole
from celadon.model.errors import UsageError
from celadon.model.names import AppName, Slot
from celadon.model.replay import Replay
from celadon.model.settings import ObserveSettings
from celadon.observe.replay import replay
from celadon.observe.rule import make_rule

_T = TypeVar("_T")
_GUESSED_FROM_COUNT: Final = 200
_SERVERS_FROM_COUNT: Final = 20_000
_SERVER = re.compile(rb"\.\d{3}\] \S+ \S+/(\S+) [-+\d]+/")


class _AnySlot(Mapping[str, Slot]):
    """A log has no old slot and no candidate: whoever answered is the one that is tried."""

    def __getitem__(self, key: str) -> Slot:
        return Slot.GREEN

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _open_nginx(path: Path, layout: Layout | None) -> TailedTraffic:
    return JsonLinesTraffic(path, mark=_read_mark(layout))


def _open_caddy(path: Path, layout: Layout | None) -> TailedTraffic:
    parse = CaddyLineParser(_AnySlot()).parse
    return JsonLinesTraffic(path, mark=_read_mark(layout), parse=parse, read_time=read_caddy_time)


def _open_haproxy(path: Path, _layout: Layout | None) -> TailedTraffic:
    """Of all servers that the log's beginning names; `.aside` are those of looks and previews."""
    found = {_SERVER.search(line) for line in islice(read_whole(path), _SERVERS_FROM_COUNT)}
    names = {match[1].decode(errors="replace") for match in found if match is not None}
    return FileTraffic(path, parser=HaproxyLineParser({name: (Slot.GREEN, name.endswith(".aside")) for name in names}))


def _open_traefik(path: Path, layout: Layout | None) -> TailedTraffic:
    return TraefikTraffic(path, app=layout.app if layout is not None else AppName(""), slots=_AnySlot())


def _open_combined(path: Path, _layout: Layout | None) -> TailedTraffic:
    return _open_format(path, COMBINED)


FORMATS: Mapping[str, Callable[[Path, Layout | None], TailedTraffic]] = MappingProxyType(
    {
        "nginx": _open_nginx,
        "caddy": _open_caddy,
        "haproxy": _open_haproxy,
        "traefik": _open_traefik,
        "combined": _open_combined,
    }
)
"""`nginx` is our own format there."""


def replay_log(
    path: Path, *, log_format: str | None, settings: ObserveSettings, window_s: float, layout: Layout | None
) -> Replay:
    """`log_format`: one of FORMATS, or the text of a `log_format` of nginx; None: guessed. `layout` is the app's, whose
    looks are told from visitors by its secret. Raises UsageError."""
    try:
        name = log_format or _guess(path, layout)
        traffic = FORMATS[name](path, layout) if name in FORMATS else _open_format(path, name)
        try:
            lines = _Counted(read_whole(path))
            visits = _Counted(traffic.date(lines))
            windows = tuple(replay(visits, make_rule(settings), window_s=window_s))
        finally:
            traffic.close()
    except (OSError, EOFError, zlib.error) as error:
        raise _refuse(f"{path} cannot be read: {error}") from error
    if not windows:
        raise _refuse(f"{path} has no line of the format {name}")
    return Replay(format=name, window_s=window_s, windows=windows, unread_count=lines.count - visits.count)


def _guess(path: Path, layout: Layout | None) -> str:
    """The format that most lines of the log's beginning have."""
    beginning = list(islice(read_whole(path), _GUESSED_FROM_COUNT))
    counts = {name: _count_read(open_log(path, layout), beginning) for name, open_log in FORMATS.items()}
    best = max(counts, key=lambda name: counts[name])
    if not counts[best]:
        raise _refuse(f"{path} begins in no format that is known, or tells no time")
    return best


def _count_read(traffic: TailedTraffic, lines: Sequence[bytes]) -> int:
    try:
        return sum(1 for _ in traffic.date(lines))
    finally:
        traffic.close()


def _open_format(path: Path, log_format: str) -> TailedTraffic:
    if "$" not in log_format:
        raise _refuse(f"{log_format} is no format: {', '.join(FORMATS)}, or the text of an nginx log_format")
    escape = "json" if log_format.lstrip().startswith("{") else "default"
    found, read_time = recognise(log_format, escape=escape, slots={}), make_nginx_time_reader(log_format)
    if found.parse is None:
        raise _refuse(f"the log_format cannot be read: {found.why}")
    if read_time is None:
        raise _refuse("the log_format tells no time: $msec, $time_iso8601 or $time_local")
    return JsonLinesTraffic(path, mark="", parse=found.parse, parse_block=found.parse_block, read_time=read_time)


def _read_mark(layout: Layout | None) -> str:
    return read_secret(layout.look_mark) if layout is not None else ""


def _refuse(what: str) -> UsageError:
    return UsageError(what, code="log_unread", next_command="celadon replay --help")


class _Counted(Generic[_T]):
    """How many have passed."""

    def __init__(self, items: Iterable[_T]) -> None:
        self._items = items
        self.count = 0

    def __iter__(self) -> Iterator[_T]:
        for item in self._items:
            self.count += 1
            yield item
