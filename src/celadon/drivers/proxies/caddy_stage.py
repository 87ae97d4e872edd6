"""Asking Caddy about a configuration before any file of it is in place.

Every file that the configuration imports is copied under a directory of ours, its imports pointing into it. Validating
creates every log that the configuration names, as whoever asks, and Caddy's authors mean it so (caddyserver/caddy
#7829). Asked by root it would leave root's files where Caddy's own user must write: the reload after it is then
refused, and so is Caddy's next start. So the copy logs into the copy's directory.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from celadon.drivers.proxies.caddy_command import is_json, validate
from celadon.drivers.proxies.caddy_config import CaddyConfig, import_pattern, is_snippet_import, read_config
from celadon.drivers.proxies.caddy_disk import read_exactly
from celadon.drivers.proxies.caddy_tokens import CaddyfileError, walk
from celadon.host.commands import Completed
from celadon.model.settings import ProxySettings

_LOG_FILE = re.compile(r'^([ \t]*output[ \t]+file[ \t]+)("[^"\n]*"|`[^`\n]*`|\S+)', re.MULTILINE)
_JSON_LOG_FILE = re.compile(r'("filename"\s*:\s*)"(?:[^"\\]|\\.)*"')


def judge_staged(proxy: ProxySettings, texts: Mapping[Path, str], *, scratch: Path) -> Completed:
    """What `caddy validate` says with `texts` in the place of the files they name. `scratch` is a directory of ours.
    What cannot be read is refused in our words."""
    try:
        with stage(Path(proxy.config), texts, scratch=scratch) as (directory, main):
            judged = validate(proxy, main)
    except (OSError, CaddyfileError) as error:
        return Completed(argv=(), exit_code=1, stdout="", stderr=str(error))
    told = judged.stderr.replace(str(directory), "")
    return Completed(argv=judged.argv, exit_code=judged.exit_code, stdout=judged.stdout, stderr=told)


@contextmanager
def stage(main: Path, texts: Mapping[Path, str], *, scratch: Path) -> Iterator[tuple[Path, Path]]:
    """The copy's directory and its main file. It may hold a secret, so it is for its owner alone."""
    remove_stale_stages(scratch)
    if not os.access(scratch, os.W_OK):
        # somebody looks who may not write there
        with TemporaryDirectory(prefix="celadon-") as elsewhere, stage(main, texts, scratch=Path(elsewhere)) as staged:
            yield staged
        return
    directory = scratch / f"caddy-{os.getpid()}.partial"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    try:
        if is_json(main):
            _copy_json(main, texts, directory)
        else:
            _copy(read_config(main, instead=texts), directory)
        yield directory, _staged(directory, main)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def remove_stale_stages(scratch: Path) -> None:
    """What processes that died while asking have left."""
    for directory in scratch.glob("caddy-*.partial"):
        pid = directory.name.removeprefix("caddy-").removesuffix(".partial")
        if not Path("/proc", pid).exists():
            shutil.rmtree(directory, ignore_errors=True)


def _staged(directory: Path, path: Path) -> Path:
    return directory / path.absolute().relative_to("/")


def _copy_json(main: Path, texts: Mapping[Path, str], directory: Path) -> None:
    text = texts[main] if main in texts else read_exactly(main)
    _write(_staged(directory, main), _JSON_LOG_FILE.sub(rf'\1"{directory}/staged.log"', text))


def _copy(config: CaddyConfig, directory: Path) -> None:
    for path, text in config.texts.items():
        moved = _point_into(directory, text, path=path, config=config)
        logged = _LOG_FILE.sub(lambda found: f'{found[1]}"{directory}/staged.log"', moved)
        _write(_staged(directory, path), logged)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, errors="surrogateescape")


def _point_into(directory: Path, text: str, *, path: Path, config: CaddyConfig) -> str:
    """`text` with the files that its imports name replaced, last first so that offsets hold."""
    imports = [
        each
        for each in walk(config.directives[path])
        if each.name == "import" and each.args and not is_snippet_import(each, config.snippets)
    ]
    for each in reversed(imports):
        if not config.files_of(each) and "{" in each.args[0]:
            continue
        word = each.words[1]
        text = f'{text[: word.start]}"{_staged(directory, Path(import_pattern(each)))}"{text[word.end :]}'
    return text
