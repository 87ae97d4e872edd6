"""Lines of JSON decoded many at a time: to cut each line out and to call the decoder for it took a third of the time.

A newline between two objects is a space to JSON, so they are not counted against the lines: that costs as much as is
saved. Two whole objects that ran together are two requests. One that would go on over a newline is none that a proxy
writes, nor one that a visitor can have written: both escape it.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from celadon.host.tail import split_block

_Line = TypeVar("_Line")


def decode_block(decoder: msgspec.json.Decoder[_Line], block: bytes) -> Sequence[_Line] | None:
    """None where one of its lines is not whole, not JSON or not of that shape."""
    try:
        return decoder.decode_lines(block)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def decode_each(decoder: msgspec.json.Decoder[_Line], block: bytes) -> Iterator[Sequence[_Line] | None]:
    """The same of each line by itself, of a block that is None as a whole."""
    return (decode_block(decoder, line) for line in split_block(block))
