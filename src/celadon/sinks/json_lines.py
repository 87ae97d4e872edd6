"""`--json`: every entry a line, as stored. The schema is docs/reference/events.md."""

from typing import TextIO

import msgspec

from celadon.events import SCHEMA_VERSION, Entry


class JsonSink:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def take(self, entry: Entry) -> None:
        fields = {"schema": SCHEMA_VERSION, **msgspec.to_builtins(entry)}
        self._stream.write(msgspec.json.encode(fields).decode() + "\n")
        self._stream.flush()

    def close(self) -> None:
        pass
