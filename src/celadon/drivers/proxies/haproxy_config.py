"""HAProxy's configuration as its files say it: sections and their lines. Reads, never writes.

Whatever a word means is HAProxy's own to judge (`haproxy -c`); here it is only found. A word that holds `$` comes from
the environment that HAProxy was started in, which we do not know.
"""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

_KINDS = frozenset(
    {
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "peers",
        "resolvers",
        "userlist",
        "mailers",
        "ring",
        "program",
    }
    | {
        "cache",
        "fcgi-app",
        "http-errors",
        "log-forward",
        "log-profile",
        "crt-store",
        "traces",
        "namespace_list",
        "acme",
    }
)


class Line(Struct, frozen=True, kw_only=True):
    """`number` counts from 1."""

    file: Path
    number: int
    words: tuple[str, ...]

    @property
    def where(self) -> str:
        return f"{self.file}:{self.number}"


class Section(Struct, frozen=True, kw_only=True):
    """`head` is its first line: kind, name, what else stands there. `defaults` are the lines that it takes over."""

    kind: str
    name: str
    head: Line
    lines: tuple[Line, ...]
    defaults: tuple[Line, ...] = ()

    def find(self, *words: str) -> list[Line]:
        """Its own lines that begin so."""
        return [line for line in self.lines if line.words[: len(words)] == words]

    def last(self, *words: str) -> Line | None:
        """The line that counts of a setting that stands once, its defaults' too."""
        found = [line for line in (*self.defaults, *self.lines) if line.words[: len(words)] == words]
        return found[-1] if found else None


def list_files(places: Iterable[Path]) -> list[Path]:
    """As `-f` takes them: of a directory its `*.cfg`, in the order of their bytes, hidden ones left out."""
    files: list[Path] = []
    for place in places:
        if place.is_dir():
            found = [each for each in place.glob("*.cfg") if not each.name.startswith(".") and each.is_file()]
            files += sorted(found, key=lambda each: each.name.encode())
        else:
            files.append(place)
    return files


def read_config(files: Sequence[Path]) -> list[Section]:
    """Raises OSError. Defaults are those of the last `defaults` before, or of the one that `from` names."""
    return parse_config([line for file in files for line in split_lines(file, file.read_text(errors="replace"))])


def split_lines(file: Path, text: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), 1):
        words = split_words(line)
        if words:
            yield Line(file=file, number=number, words=words)


def split_words(line: str) -> tuple[str, ...]:
    """Quotes and escapes undone, a comment left out. A line that ends within quotes has no words: refused anyway."""
    try:
        return tuple(shlex.split(line, comments=True))
    except ValueError:
        return ()


def parse_config(lines: Sequence[Line]) -> list[Section]:
    sections: list[Section] = []
    starts = [index for index, line in enumerate(lines) if line.words[0] in _KINDS]
    implicit: tuple[Line, ...] = ()
    named: dict[str, tuple[Line, ...]] = {}
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        head, own = lines[start], tuple(lines[start + 1 : end])
        name = head.words[1] if len(head.words) > 1 and head.words[1] != "from" else ""
        origin = head.words[head.words.index("from") + 1 :][:1] if "from" in head.words[1:] else ()
        taken = named.get(origin[0], ()) if origin else implicit
        if head.words[0] == "defaults":
            taken = taken if origin else ()
            implicit = named[name] = (*taken, *own)
        sections.append(Section(kind=head.words[0], name=name, head=head, lines=own, defaults=taken))
    return sections


def find_admin(sections: Iterable[Section]) -> str:
    """The path of the first runtime socket on which everything is allowed; empty where there is none."""
    for section in sections:
        for line in section.find("stats", "socket"):
            words = line.words[2:]
            path = words[0].removeprefix("unix@") if words else ""
            if path.startswith("/") and "level" in words and words[words.index("level") + 1 :][:1] == ("admin",):
                return path
    return ""


def find_chroot(sections: Iterable[Section]) -> str:
    """Empty where there is none."""
    found = [line for section in sections if section.kind == "global" for line in section.find("chroot")]
    return found[-1].words[1] if found and len(found[-1].words) > 1 else ""
