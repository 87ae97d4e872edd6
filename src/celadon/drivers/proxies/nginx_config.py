"""nginx's configuration as a tree, includes followed. Reads; judges nothing: whether it is valid, nginx says.

A directive keeps its words as written (quotes and all), so that what is repeated elsewhere means the same.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

_WORD = re.compile(
    r"""(?P<space>[ \t\r\n]+)|(?P<comment>\#[^\n]*)|(?P<mark>[{};])"""
    r"""|(?P<word>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?:\\.|\$\{|[^\s;{}\\])(?:\\.|\$\{[^}]*\}|[^\s;{\\])*)|(?P<other>.)""",
    re.DOTALL,
)
_DEPTH_LIMIT = 20


class Directive(Struct, frozen=True, kw_only=True):
    """`block` is None for a simple directive; that of an include holds what it includes. `line` counts from 1;
    `start` and `end` are the offsets of the arguments in the file, `begin` and `stop` those of the whole: from its name
    to behind its `;` or `}`."""

    name: str
    args: tuple[str, ...]
    file: Path
    line: int
    start: int
    end: int
    begin: int = 0
    stop: int = 0
    block: tuple["Directive", ...] | None = None


class Config(Struct, frozen=True, kw_only=True):
    """`texts` are the files read, by absolute path."""

    main: Path
    directives: tuple[Directive, ...]
    texts: dict[Path, str]

    @property
    def directory(self) -> Path:
        """What relative file names in it are relative to."""
        return self.main.parent


def read_config(main: Path, *, instead: Mapping[Path, str] | None = None) -> Config:
    """Follow `main` and all it includes; `instead` gives the texts of files as if they were on disk. Files that
    cannot be read are left out: nginx names them better."""
    reading = _Reading(main.parent, instead or {})
    return Config(main=main, directives=reading.read(main, depth=0), texts=reading.texts)


def unquote(word: str) -> str:
    quoted = len(word) >= 2 and word[0] == word[-1] and word[0] in "\"'"
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if quoted else word


def include_pattern(directive: Directive, *, directory: Path) -> str:
    """The absolute pattern that an include names."""
    return str(directory / unquote(directive.args[0])) if directive.args else ""


def walk(
    directives: Sequence[Directive], *, above: tuple[Directive, ...] = ()
) -> Iterator[tuple[Directive, tuple[Directive, ...]]]:
    """Every directive with those around it, outermost first (includes among them)."""
    for directive in directives:
        yield directive, above
        yield from walk(directive.block or (), above=(*above, directive))


def flatten(directives: Sequence[Directive]) -> Iterator[Directive]:
    """The directives of one level, those of included files in their place."""
    for directive in directives:
        if directive.name == "include":
            yield from flatten(directive.block or ())
        else:
            yield directive


def find_include(config: Config, path: Path) -> tuple[Directive, tuple[Directive, ...]] | None:
    """The include that takes in `path`, and what is around it."""
    for directive, above in walk(config.directives):
        if directive.name == "include" and matches(include_pattern(directive, directory=config.directory), path):
            return directive, above
    return None


def matches(pattern: str, path: Path) -> bool:
    """As glob(3) would: `*` does not cross a slash. (PurePath.match compares part by part.)"""
    return len(Path(pattern).parts) == len(path.parts) and path.match(pattern)


def parse_text(text: str, *, file: Path) -> tuple[Directive, ...]:
    """The directives of one file, includes not followed. Takes what it can of a text that nginx would refuse."""
    return _Parsing(text, file).parse_level()


class _Parsing:
    def __init__(self, text: str, file: Path) -> None:
        self._file = file
        self._text = text
        self._tokens = (found for found in _WORD.finditer(text) if found.lastgroup in {"mark", "word"})
        self._at = 0

    def parse_level(self) -> tuple[Directive, ...]:
        level: list[Directive] = []
        words: list[re.Match[str]] = []
        for token in self._tokens:
            self._at = token.end()
            match token.group():
                case ";":
                    level += self._directive(words, block=None)
                    words = []
                case "{":
                    level += self._directive(words, block=self.parse_level())
                    words = []
                case "}":
                    break
                case _:
                    words.append(token)
        return tuple(level)

    def _directive(self, words: list[re.Match[str]], *, block: tuple[Directive, ...] | None) -> list[Directive]:
        if not words:
            return []
        name, *args = words
        return [
            Directive(
                name=name.group(),
                args=tuple(word.group() for word in args),
                file=self._file,
                line=self._text.count("\n", 0, name.start()) + 1,
                start=args[0].start() if args else name.end(),
                end=args[-1].end() if args else name.end(),
                begin=name.start(),
                stop=self._at,
                block=block,
            )
        ]


class _Reading:
    def __init__(self, directory: Path, instead: Mapping[Path, str]) -> None:
        self._directory = directory
        self._instead = instead
        self.texts: dict[Path, str] = {}

    def read(self, path: Path, *, depth: int) -> tuple[Directive, ...]:
        text = self._instead.get(path)
        if text is None:
            try:
                text = path.read_text(errors="surrogateescape")
            except OSError:
                return ()
        self.texts[path] = text
        return self._follow(parse_text(text, file=path), depth=depth)

    def _follow(self, directives: tuple[Directive, ...], *, depth: int) -> tuple[Directive, ...]:
        return tuple(self._follow_one(directive, depth=depth) for directive in directives)

    def _follow_one(self, directive: Directive, *, depth: int) -> Directive:
        if directive.name == "include" and directive.args and depth < _DEPTH_LIMIT:
            found = tuple(inner for path in self._included(directive) for inner in self.read(path, depth=depth + 1))
            return replace(directive, block=found)
        if directive.block:
            return replace(directive, block=self._follow(directive.block, depth=depth))
        return directive

    def _included(self, directive: Directive) -> list[Path]:
        pattern = include_pattern(directive, directory=self._directory)
        given = (path for path in self._instead if matches(pattern, path))
        return sorted({*(Path(found) for found in glob(pattern)), *given})  # noqa: PTH207 - pathlib matches dot files, nginx does not
