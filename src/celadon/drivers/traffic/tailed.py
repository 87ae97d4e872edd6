"""Requests from a log file that grows: what every format's reader has in common."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path

from celadon.drivers.traffic.times import ReadTime
from celadon.host.past import read_past
from celadon.host.tail import LineTail, split_block
from celadon.host.tail_position import TailPosition
from celadon.model.observed import Hit


class Passed(Enum):
    """A line that gives no hit. FOREIGN: it is not about this app's requests; UNREADABLE: nobody can tell."""

    FOREIGN = "foreign"
    UNREADABLE = "unreadable"


Take = Callable[[bytes], Hit | Passed]
TakeBlock = Callable[[bytes], Iterable[Hit | Passed]]


class TailedTraffic:
    """Implements contracts.traffic.Traffic, of a file whose lines `take` makes hits of and `read_time` dates.
    `take_block` takes many lines at once, each with its end, and must say of each what `take` says."""

    def __init__(
        self,
        path: Path,
        *,
        take: Take,
        read_time: ReadTime,
        take_block: TakeBlock | None = None,
        resume_from: TailPosition | None = None,
    ) -> None:
        self._path = path
        self._read_time = read_time
        self._tail = LineTail(path, resume_from=resume_from)
        self._take = take
        self._take_block = take_block or self._take_each
        self._unparsed_count = 0

    def read(self) -> Sequence[Hit]:
        hits: list[Hit] = []
        for block in self._tail.read_blocks():
            taken = [*self._take_block(block)]
            # an isinstance asks the metaclass and takes four times as long
            found = [each for each in taken if type(each) is Hit]
            hits += found
            if len(found) < len(taken):
                self._unparsed_count += sum(each is Passed.UNREADABLE for each in taken)
        return hits

    def past(self, *, since_s: float, is_over: Callable[[], bool]) -> Iterator[Iterable[tuple[float, Hit]]]:
        return map(self.date, read_past(self._path, since_s=since_s, read_time=self._read_time, is_over=is_over))

    def date(self, lines: Iterable[bytes]) -> Iterator[tuple[float, Hit]]:
        """The requests among them, each with its second since the epoch."""
        for line in lines:
            taken = self._take(line)
            if isinstance(taken, Hit) and (at_s := self._read_time(line)) is not None:
                yield at_s, taken

    @property
    def position(self) -> TailPosition:
        """After the last request that was handed over; a reader made with it as `resume_from` goes on there."""
        return self._tail.position

    @property
    def unreadable_count(self) -> int:
        return self._unparsed_count + self._tail.overlong_count

    def close(self) -> None:
        self._tail.close()

    def _take_each(self, block: bytes) -> Iterable[Hit | Passed]:
        return map(self._take, split_block(block))
