"""A Caddyfile as directives with their places in the text: as much of the language as finding and replacing needs.

The rules are those of Caddy's lexer: words are parted by white space, `#` begins a comment at a word's start, `"…"`
knows `\\"`, a backtick nothing, `<<MARK` begins a text that ends with a line of that mark, and a block opens with a `{`
that is a line's last word.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

_WORD = re.compile(
    r"""
    (?P<space>(?:[^\S\n]|\\\n)+)
  | (?P<line>\n)
  | (?P<comment>\#[^\n]*)
  | (?P<quoted>"(?:\\.|[^"\\])*"|`[^`]*`)
  | <<(?P<mark>[A-Za-z0-9_-]+)\n.*?\n[^\S\n]*(?P=mark)(?=\s|$)
  | (?P<bare>(?:\\\S|[^\s\\]|\\(?!\n))+)
    """,
    re.VERBOSE | re.DOTALL,
)


class Word(Struct, frozen=True, kw_only=True):
    """`start` and `end` are offsets into the file's text, quotes included."""

    text: str
    start: int
    end: int
    line: int
    quoted: bool = False


class Directive(Struct, frozen=True, kw_only=True):
    """One line and its block, if it has one. At the top of a file it is a site, a snippet or, without a word, the
    global options. `end` is behind the last word or the closing brace."""

    file: Path
    words: tuple[Word, ...]
    block: "tuple[Directive, ...] | None"
    start: int
    end: int
    line: int

    @property
    def name(self) -> str:
        return self.words[0].text if self.words else ""

    @property
    def args(self) -> tuple[str, ...]:
        return tuple(word.text for word in self.words[1:])


class CaddyfileError(Exception):
    """Not a Caddyfile, as far as we read it."""


def parse_caddyfile(text: str, *, file: Path) -> Sequence[Directive]:
    """Raises CaddyfileError."""
    lines = _group(text)
    found, rest = _parse_block(lines, 0, file=file, top=True)
    if rest != len(lines):
        raise CaddyfileError(f"{file}:{lines[rest][0].line}: a brace closes nothing")
    return found


def _group(text: str) -> list[list[Word]]:
    """The words of each line that has any."""
    lines: list[list[Word]] = [[]]
    for word in _split(text):
        if word is None:
            lines.append([])
        else:
            lines[-1].append(word)
    return [line for line in lines if line]


def _split(text: str) -> Iterator[Word | None]:
    """None stands between lines."""
    position, line = 0, 1
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None:
            raise CaddyfileError(f"line {line}: a text that does not end")
        whole = match.group()
        if match["line"]:
            yield None
        elif match["space"] is None and match["comment"] is None:
            value = _unquote(whole) if match["quoted"] else whole
            yield Word(text=value, start=position, end=match.end(), line=line, quoted=match["quoted"] is not None)
        line += whole.count("\n")
        position = match.end()


def _unquote(whole: str) -> str:
    return whole[1:-1].replace('\\"', '"') if whole[0] == '"' else whole[1:-1]


def _parse_block(
    lines: Sequence[Sequence[Word]], index: int, *, file: Path, top: bool = False
) -> tuple[tuple[Directive, ...], int]:
    """The directives from line `index` on, and the index of the line that closes them."""
    found: list[Directive] = []
    while index < len(lines) and not _is(lines[index][0], "}"):
        words = list(lines[index])
        while top and words[-1].text.endswith(",") and index + 1 < len(lines):
            index += 1
            words += lines[index]
        index += 1
        block: tuple[Directive, ...] | None = None
        end = words[-1].end
        if _is(words[-1], "{"):
            block, index = _parse_block(lines, index, file=file)
            if index >= len(lines):
                raise CaddyfileError(f"{file}:{words[0].line}: a brace is not closed")
            end = lines[index][0].end
            index += 1
        head = tuple(words[:-1] if block is not None else words)
        found.append(Directive(file=file, words=head, block=block, start=words[0].start, end=end, line=words[0].line))
    return tuple(found), index


def _is(word: Word, brace: str) -> bool:
    return word.text == brace and not word.quoted


def walk(directives: Sequence[Directive]) -> Iterator[Directive]:
    for directive in directives:
        yield directive
        yield from walk(directive.block or ())
