"""A copy of a Caddy configuration for `caddy validate` to judge, which leaves nothing behind.

Validating creates every log that the configuration names, as whoever asks, and Caddy's authors mean it so
(caddyserver/caddy #7829). Asked by root it would leave root's files where Caddy's own user must write: the reload
after it is then refused, and so is Caddy's next start. So the copy logs into the copy's directory.
"""

import re
import shutil
from pathlib import Path

_LARGEST_STAGED_BYTES = 1 << 20
_LOG_FILE = re.compile(r'^([ \t]*output[ \t]+file[ \t]+)("[^"\n]*"|`[^`\n]*`|\S+)', re.MULTILINE)


def stage(main: Path, scratch: Path, texts: dict[Path, str]) -> Path:
    """Copy what lies beside the main file, `texts` in the place of the files they name, with the directory's own name
    replaced in every text. The copy of the main file."""
    root = main.parent
    for path in root.rglob("*"):
        if path.is_file() and path.stat().st_size <= _LARGEST_STAGED_BYTES:
            target = scratch / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy_moved(path, target, old=root, new=scratch)
    for path, text in texts.items():
        if not path.is_relative_to(root):
            continue
        target = scratch / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_log_into(scratch, text))
    return scratch / main.name


def _copy_moved(path: Path, target: Path, *, old: Path, new: Path) -> None:
    try:
        target.write_text(_log_into(new, path.read_text().replace(f"{old}/", f"{new}/")))
    except UnicodeDecodeError:
        shutil.copyfile(path, target)


def _log_into(scratch: Path, text: str) -> str:
    return _LOG_FILE.sub(lambda found: f'{found[1]}"{scratch}/staged.log"', text)
