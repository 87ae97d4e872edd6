"""Asking nginx about a configuration before any file of it is in place.

Every file that the configuration reads is copied under a staging directory with its includes pointing into
it; what else lies beside the main file (certificates, named relatively) is linked. `nginx -t` on the copy then
judges exactly what a reload would read. Nothing at a live path is touched.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from celadon.drivers.proxies.nginx_config import Config, include_pattern, read_config, walk
from celadon.host.commands import run_command

CHECK_TIMEOUT_S = 30.0
_SAID = re.compile(r"(\[(?:emerg|crit|alert)\]) (?:\d+#\d+: )?(.*)")


class Judged(Struct, frozen=True, kw_only=True):
    """`said` is nginx's own words, with the live files' names and lines. `missing`: there is no nginx to ask."""

    ok: bool
    said: str
    missing: bool = False


def judge_live(binary: str, config: Path) -> Judged:
    completed = run_command([binary, "-t", "-c", str(config)], timeout_s=CHECK_TIMEOUT_S)
    return Judged(ok=completed.ok, said=_pick_said(completed.output), missing=completed.exit_code in {126, 127})


def judge_staged(binary: str, config: Path, *, instead: Mapping[Path, str], scratch: Path) -> Judged:
    """As `judge_live`, with `instead` in the place of the files it names. `scratch` is a directory of ours."""
    with _stage(read_config(config, instead=instead), scratch=scratch) as stage:
        judged = judge_live(binary, _staged(stage, config))
        return Judged(ok=judged.ok, said=judged.said.replace(str(stage), ""), missing=judged.missing)


def _pick_said(output: str) -> str:
    found = _SAID.search(output)
    return " ".join(found.groups()) if found else output[-500:]


@contextmanager
def _stage(config: Config, *, scratch: Path) -> Iterator[Path]:
    stage = scratch / f"nginx-{os.getpid()}.partial"
    remove_stale_stages(scratch)
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True, mode=0o700)
    try:
        _copy_read(config, stage)
        _link_rest(config.directory, stage)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def remove_stale_stages(scratch: Path) -> None:
    """What processes that died while asking have left."""
    for stage in scratch.glob("nginx-*.partial"):
        pid = stage.name.removeprefix("nginx-").removesuffix(".partial")
        if not Path("/proc", pid).exists():
            shutil.rmtree(stage, ignore_errors=True)


def _staged(stage: Path, path: Path) -> Path:
    return stage / path.relative_to("/")


def _copy_read(config: Config, stage: Path) -> None:
    for path, text in config.texts.items():
        target = _staged(stage, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_point_into(stage, text, path=path, config=config), errors="surrogateescape")


def _point_into(stage: Path, text: str, *, path: Path, config: Config) -> str:
    """`text` with the arguments of its includes replaced, last first so that offsets hold."""
    own = {
        (directive.start, directive.end): include_pattern(directive, directory=config.directory)
        for directive, _ in walk(config.directives)
        if directive.name == "include" and directive.file == path and directive.args
    }
    for (start, end), pattern in sorted(own.items(), reverse=True):
        escaped = str(_staged(stage, Path(pattern))).replace("\\", "\\\\").replace('"', '\\"')
        text = f'{text[:start]}"{escaped}"{text[end:]}'
    return text


def _link_rest(directory: Path, stage: Path) -> None:
    for root, directories, files in os.walk(directory):
        if Path(root) in stage.parents or Path(root) == stage:
            directories.clear()
            continue
        base = _staged(stage, Path(root))
        base.mkdir(parents=True, exist_ok=True)
        for name in [*files, *(name for name in directories if (Path(root) / name).is_symlink())]:
            if not os.path.lexists(base / name):
                (base / name).symlink_to(Path(root) / name)
