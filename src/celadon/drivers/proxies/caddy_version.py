"""Which Caddy it is, as far as what we render depends on it. Asked once of each program file and then remembered:
`caddy version` costs 30 ms, which no rollback shall pay."""

import re
from pathlib import Path
from shutil import which

from msgspec import Struct

from celadon.host.commands import run_command
from celadon.host.files import write_atomic

_VERSION = re.compile(r"v?(\d+)\.(\d+)\b")
_RECENT = (2, 8)
_TIMEOUT_S = 10.0


class CaddyVersion(Struct, frozen=True):
    """`recent`: it has `log NAME`, `log_append` and `{file.…}`, which came with 2.8. One that does not tell is."""

    text: str

    @property
    def recent(self) -> bool:
        found = _VERSION.search(self.text)
        return found is None or (int(found[1]), int(found[2])) >= _RECENT


def read_version(binary: str, *, remembered: Path) -> CaddyVersion:
    """From the file `remembered` where it is of this program; else asked."""
    mark = _mark(binary)
    try:
        known, _, text = remembered.read_text().partition("\n")
    except OSError:
        known, text = "", ""
    return CaddyVersion(text.strip()) if known == mark and mark else ask_version(binary)


def ask_version(binary: str) -> CaddyVersion:
    said = run_command([binary, "version"], timeout_s=_TIMEOUT_S)
    return CaddyVersion(said.stdout.strip() if said.ok else "")


def remember_version(version: CaddyVersion, binary: str, *, remembered: Path) -> None:
    text = f"{_mark(binary)}\n{version.text}\n"
    if not remembered.exists() or remembered.read_text() != text:
        write_atomic(remembered, text)


def _mark(binary: str) -> str:
    """Of a program file: changes with every upgrade."""
    path = which(binary)
    if path is None:
        return ""
    found = Path(path).stat()
    return f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns}"
