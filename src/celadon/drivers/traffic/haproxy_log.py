"""Requests from a log file that a syslog daemon writes for HAProxy."""

from pathlib import Path

from celadon.drivers.traffic.haproxy_lines import HaproxyLineParser
from celadon.drivers.traffic.tailed import TailedTraffic
from celadon.drivers.traffic.times import read_haproxy_time
from celadon.host.tail_position import TailPosition


class FileTraffic(TailedTraffic):
    """Implements contracts.traffic.Traffic. Lines of other sites and of HAProxy itself are passed over: only a line
    that names our server and yet cannot be read is counted."""

    def __init__(self, path: Path, *, parser: HaproxyLineParser, resume_from: TailPosition | None = None) -> None:
        super().__init__(
            path,
            take=parser.take,
            take_block=parser.take_block,
            read_time=read_haproxy_time,
            resume_from=resume_from,
        )
