"""Plain lines: for pipes, CI logs and people without a terminal that moves."""

import time
from typing import TextIO

from celadon.events import Entry, OperationEnded
from celadon.sinks.wording import describe


class LinesSink:
    """`quiet`: only how it ended."""

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet

    def take(self, entry: Entry) -> None:
        if self._quiet and not isinstance(entry.body, OperationEnded):
            return
        text = describe(entry)
        if text is not None:
            stamp = time.strftime("%H:%M:%S", time.localtime(entry.at))
            self._stream.write("".join(f"{stamp}  {line}\n" for line in text.splitlines()))
            self._stream.flush()

    def close(self) -> None:
        pass
